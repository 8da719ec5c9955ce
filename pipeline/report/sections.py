"""The sections of a run's page on training, reasons, data and cost: what each shows, worked out from the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.report import curves, figures
from pipeline.report.numbers import UNDEFINED, count, day, duration, figure, percent, plural
from pipeline.report.story import gaps_words
from pipeline.report.studied import study_cost
from pipeline.report.summary import Epoch, MovingAverages, RunSummary

SHOWN_DOMAINS = 30
SHOWN_REJECTS = 10
SHOWN_FILES = 12


def training_section(history: Sequence[Epoch]) -> dict[str, Any] | None:
    """The curves, and what they say; None without epochs."""
    if not history:
        return None
    fit = [epoch for epoch in history if epoch.phase == "fit"]
    best = max((i for i, epoch in enumerate(history) if epoch.best and epoch.phase == "fit"), default=None)
    names = [str(e.epoch) if e.phase == "fit" else f"refit<br>{e.epoch}" for e in history]
    refitted = len(history) - len(fit)
    words = f"{plural(len(fit), 'epoch')}"
    if best is not None and history[best].validation_average_auc is not None:
        words += (
            f"; epoch {history[best].epoch} had the highest average AUC on the validation days "
            f"({figure(history[best].validation_average_auc)})"
        )
        words += "" if refitted else ", and its weights were kept"
    if refitted:
        words += (
            f". Then it was trained anew on training and validation days together, {plural(refitted, 'epoch')}, and "
            "the weights of that were kept"
        )
    speeds = [epoch.rows_per_second for epoch in history if epoch.rows_per_second]
    if speeds:
        words += f". {count(sum(speeds) / len(speeds))} rows per second"
    return {
        "words": f"{words}.",
        "curves": curves.training_curves(
            names,
            [epoch.train_loss for epoch in history],
            [epoch.validation_average_auc for epoch in history],
            refits=[epoch.phase == "refit" for epoch in history],
            best=best,
        ),
    }


@dataclass(frozen=True)
class AveragesSection:
    """One small figure for each behaviour, the legend that they share, and which state evaluated rows saw."""

    state: str
    behaviours: list[tuple[str, dict[str, Any]]]
    legend: list[tuple[str, str, str]] = field(default_factory=list)
    others: int = 0


EVAL_STATES = {
    "frozen": "Evaluated rows saw the state at the end of training, as a server would.",
    "daily": "Evaluated rows saw the state as of their own bucket, refreshed with all earlier rows, those of the "
    "evaluation days included.",
}
TRAIN_STATES = {
    "past": "Training rows saw what came before their own bucket.",
    "other_buckets": "Training rows saw all of training but their own bucket, later rows included; nothing of the "
    "evaluation days.",
}


def averages_section(
    averages: MovingAverages | None, eval_state: str = "frozen", train_state: str = "past"
) -> AveragesSection | None:
    """The largest domains in colour, further ones pale; None without averages."""
    if averages is None or not averages.buckets or not averages.domains:
        return None
    coloured = len(figures.SERIES)
    shown = averages.domains[:SHOWN_DOMAINS]
    colours = {name: index if index < coloured else None for index, name in enumerate(shown)}
    return AveragesSection(
        state=f"{EVAL_STATES[eval_state]} {TRAIN_STATES[train_state]}",
        behaviours=[
            (
                behaviour,
                curves.lines(
                    averages.buckets,
                    {
                        name: [bucket[number] for bucket in averages.values[domain]]
                        for domain, name in enumerate(shown)
                    },
                    colours,
                ),
            )
            for number, behaviour in enumerate(averages.behaviours)
        ],
        legend=[
            (name, figures.SERIES[index], figures.DASHES[index])
            for name, index in colours.items()
            if index is not None
        ],
        others=len(averages.domains) - min(coloured, len(shown)),
    )


def integration_section(summary: RunSummary) -> dict[str, Any] | None:
    """The weights between domains, and what stands out in them; None for a model that does not explain itself."""
    integration = summary.integration
    if integration is None or not integration.domains:
        return None
    names = integration.domains[:SHOWN_DOMAINS]
    weights = [row[: len(names)] for row in integration.weights[: len(names)]]
    even = 1 / len(integration.domains)
    received = [
        (sum(row[column] or 0.0 for row in weights) / len(weights), name) for column, name in enumerate(names)
    ]
    most = sorted(received, reverse=True)[:3]
    words = ", ".join(f"{summary.domain_title(name)} ({share:.2f})" for share, name in most)
    return {
        "words": f"Most attention on average goes to {words}; spread evenly, each of "
        f"{plural(len(integration.domains), 'domain')} would get {even:.2f}.",
        "heat": figures.heat_map(
            names,
            weights,
            row_title="impression in",
            column_title="looks at",
            middle=1 / len(integration.domains),
        ),
        "hidden": len(integration.domains) - len(names),
    }


def data_section(summary: RunSummary) -> dict[str, Any]:
    """What was read, dropped and rejected."""
    ingest = summary.ingest
    facts = [
        ("rows read", count(ingest.get("rows_read"))),
        ("exact duplicates dropped", count(ingest.get("duplicates"))),
        (
            "rows left out (split.since, split.before, split.domains_since)",
            count(ingest.get("later") or None),
        ),
        ("rows rejected", _rejected(ingest)),
        ("days", _days(ingest)),
        ("training impressions", count(summary.rows.get("train"))),
        ("evaluation impressions", count(summary.rows.get("eval"))),
        ("label", summary.label or UNDEFINED),
        ("domain", summary.domain or UNDEFINED),
    ]
    unmatched = ingest.get("unmatched") or {}
    files = [
        (file["file"], file["rows"], file["rejected"], unmatched.get(file["file"]))
        for file in ingest.get("lookups") or []
    ]
    files += [(file["file"], file["rows"], file["rejected"], None) for file in ingest.get("files") or []]
    return {
        "facts": [(name, value) for name, value in facts if value != UNDEFINED],
        "files": files[:SHOWN_FILES],
        "more_files": max(0, len(files) - SHOWN_FILES),
        "rejects": (ingest.get("rejects") or [])[:SHOWN_REJECTS],
    }


def _rejected(ingest: dict[str, Any]) -> str:
    rejected = ingest.get("rejected")
    if not rejected:
        return count(rejected)
    return f"{count(rejected)} ({percent(ingest.get('rejected_share'), 3)})"


def _days(ingest: dict[str, Any]) -> str:
    first, last = day(ingest.get("first_day")), day(ingest.get("last_day"))
    if UNDEFINED in (first, last):
        return UNDEFINED
    without = gaps_words(ingest)
    return f"{first} to {last}{f', without {without}' if without else ''}"


def cost_section(summary: RunSummary) -> dict[str, Any] | None:
    """Seconds by component; of what came from the cache, those of the earlier run. None where none are known."""
    if not summary.seconds:
        return None
    names = list(summary.seconds)
    cached = [name in summary.cached for name in names]
    before = summary.seconds_before
    taken = [
        before.get(name) if was else summary.seconds[name] for name, was in zip(names, cached, strict=True)
    ]
    spent = [summary.seconds[name] for name, was in zip(names, cached, strict=True) if not was]
    words = f"{duration(sum(spent))} in this run"
    if any(cached):
        words += f"; {plural(sum(cached), 'component')} came from the cache"
        known = [before[name] for name, was in zip(names, cached, strict=True) if was and name in before]
        words += f", which took {duration(sum(known))} when they ran" if known else ", made in an earlier run"
    if summary.parameters:
        words += f". The model has {count(summary.parameters)} trainable numbers"
    peak = max(summary.peak_memory_mb.values(), default=None)
    if peak is not None:
        words += f". Most memory at once: {count(peak)} MB"
    return {
        "words": f"{words}.",
        "rows": [
            (
                name,
                seconds,
                None if was else summary.cpu_seconds.get(name),
                None if was else summary.peak_memory_mb.get(name),
                was,
            )
            for name, seconds, was in zip(names, taken, cached, strict=True)
        ],
        "study": study_cost(summary.study) if summary.study else "",
        "bars": figures.bars(
            names,
            [seconds or 0.0 for seconds in taken],
            [_taken(seconds, was) for seconds, was in zip(taken, cached, strict=True)],
            cached,
        ),
    }


def _taken(seconds: float | None, cached: bool) -> str:
    words = "" if seconds is None else duration(seconds)
    return f"{words} in an earlier run".lstrip() if cached else words
