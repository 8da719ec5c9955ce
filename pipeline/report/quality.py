"""How good a run's model is: the numbers at the top of its page, and the domains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from components.evaluator.results import DomainResult
from models.metrics import rarer_rows
from pipeline.report import curves, figures
from pipeline.report.numbers import Z95, count, figure, percent
from pipeline.report.summary import RunSummary

# More domains than this are summed up; the table has them all.
SHOWN_DOMAINS = 30
SHOWN_WORST = 10


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page, and what it is compared with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class DomainRow:
    """A line of the domains' table."""

    name: str
    result: DomainResult
    spread: float | None
    best: float | None
    why: str
    others: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class DomainSection:
    """The domains: the largest as a figure, all of them in the table."""

    rows: list[DomainRow]
    hidden: list[DomainRow]
    dots: dict[str, Any]
    worst: dict[str, Any] | None
    spread_of_auc: dict[str, Any] | None
    by_size: dict[str, Any] | None
    has_baseline: bool
    has_best: bool
    baselines: list[str] = field(default_factory=list)
    legend: list[tuple[str, str, str]] = field(default_factory=list)


def tiles(summary: RunSummary) -> list[Tile]:
    """The numbers over all rows, with the last blessed model's and the best possible."""
    evaluation = summary.evaluation
    if evaluation is None:
        return []
    best = summary.best_possible_auc
    possible = {"average_auc": best.average, "auc": best.overall} if best is not None else {}
    found = []
    for name, title, digits in (
        ("average_auc", "average AUC", 4),
        ("auc", "overall AUC", 4),
        ("gauc", "GAUC", 4),
        ("log_loss", "log loss", 4),
        ("calibration", "calibration", 3),
    ):
        own = getattr(evaluation.overall, name)
        earlier = getattr(evaluation.baseline, name) if evaluation.baseline is not None else None
        notes = [] if own is None or earlier is None else [f"the last {figure(earlier, digits)}"]
        notes += [f"best possible {figure(limit)}"] if (limit := possible.get(name)) is not None else []
        found.append(Tile(title, figure(own, digits), ", ".join(notes)))
    clicks = percent(evaluation.positives / evaluation.rows if evaluation.rows else None)
    return [*found, Tile("evaluated on", count(evaluation.rows), f"impressions, {clicks} clicked")]


def domain_section(summary: RunSummary) -> DomainSection | None:
    """AUC by domain; None without an evaluation."""
    evaluation = summary.evaluation
    if evaluation is None or not evaluation.domains:
        return None
    possible = summary.best_possible_auc.domains if summary.best_possible_auc is not None else {}
    baselines = summary.study.baselines if summary.study is not None else []
    rows = [
        DomainRow(
            name=name,
            result=result,
            spread=None if result.auc_standard_error is None else Z95 * result.auc_standard_error,
            best=possible.get(name) if result.decides else None,
            why=_why(result, evaluation.min_rows),
            others={baseline.name: baseline.domains.get(name) for baseline in baselines},
        )
        for name, result in evaluation.domains.items()
    ]
    shown = rows[:SHOWN_DOMAINS]
    has_baseline, has_best = evaluation.baseline is not None, bool(possible)
    average = evaluation.average_auc
    evaluated = [row for row in rows if row.result.decides]
    many = len(rows) > SHOWN_DOMAINS and len(evaluated) > 1
    aucs = [row.result.auc or 0.0 for row in evaluated]
    return DomainSection(
        rows=shown,
        hidden=rows[SHOWN_DOMAINS:],
        dots=_dots(shown, average, has_baseline, has_best),
        worst=_dots(_worst(evaluated), average, has_baseline, has_best) if many else None,
        spread_of_auc=curves.histogram(
            aucs, line=average, line_name=f"average {figure(average)}", title="AUC"
        )
        if many
        else None,
        by_size=curves.scatter(
            [row.result.rows for row in evaluated],
            aucs,
            [row.name for row in evaluated],
            x_title="evaluation rows",
            y_title="AUC",
            line=average,
        )
        if many
        else None,
        has_baseline=has_baseline,
        has_best=has_best,
        baselines=[baseline.name for baseline in baselines],
        legend=figures.mark_legend(list(_marks(rows, has_baseline, has_best))),
    )


def _worst(evaluated: list[DomainRow]) -> list[DomainRow]:
    return sorted(evaluated, key=lambda row: row.result.auc or 0.0)[:SHOWN_WORST]


def _marks(rows: list[DomainRow], has_baseline: bool, has_best: bool) -> dict[str, list[float | None]]:
    """What the domains that decide are compared with, by name."""
    marks: dict[str, list[float | None]] = {}
    if has_baseline:
        marks["last blessed model"] = [
            row.result.baseline_auc if row.result.decides else None for row in rows
        ]
    for name in rows[0].others if rows else ():
        marks[name] = [row.others[name] if row.result.decides else None for row in rows]
    if has_best:
        marks["best possible"] = [row.best if row.result.decides else None for row in rows]
    return marks


def _dots(rows: list[DomainRow], average: float | None, has_baseline: bool, has_best: bool) -> dict[str, Any]:
    return figures.dot_plot(
        [row.name for row in rows],
        [row.result.auc for row in rows],
        spread=[row.spread for row in rows],
        strong=[row.result.decides for row in rows],
        marks=_marks(rows, has_baseline, has_best),
        sizes=[count(row.result.rows) for row in rows],
        notes=[row.why or f"{count(row.result.rows)} rows" for row in rows],
        line=average,
        line_name=f"average {figure(average)}",
    )


def _why(result: DomainResult, min_rows: int) -> str:
    """Why a domain does not decide."""
    if result.one_class:
        return "one class"
    if result.rows < min_rows:
        return f"fewer than {count(min_rows)}"
    rarer = rarer_rows(min_rows)
    few = "clicks" if result.positives < rarer else "rows without a click"
    return "" if result.decides else f"fewer than {count(rarer)} {few}"
