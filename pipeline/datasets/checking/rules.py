"""What a survey of the log means for a run."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from components.dataset.read_plan import ReadPlan
from components.example_gen import checks
from components.example_gen.unmatched import FEW, unmatched_words
from models.metrics import needed, rarer_rows, too_few_words
from pipeline.datasets.checking.findings import Finding
from pipeline.datasets.survey import Survey, without_rows

_SHOWN = 6
_MISSING, _COLD, _DUPLICATES = 0.95, 0.5, 0.01
_THIN_DAY = 0.1
_PUSHES_NONE = (
    "a run pushes no such model: give more days of logs, a larger split.eval_days, or evaluation.min_rarer: 0"
)


def rejects(plan: ReadPlan, survey: Survey) -> Iterator[Finding]:
    """Rows that cannot be used, by reason; whether they end the run is for `refusals` to say."""
    scan = survey.scan
    for (place, expected), count in survey.reasons.most_common():
        first = next(
            (
                f"{path}:{line}"
                for path, line, reason in scan.rejects
                if expected in reason and (place == "line" or place in reason)
            ),
            None,
        )
        where = f", first at {first}" if first and not survey.sampled else ""
        name = "" if place == "line" else f"{place}: "
        remedy = "mend these rows, or change the type in the declaration"
        if expected == "is missing":
            remedy = "drop these rows, or raise max_rejected_share"
        elif place.startswith("label") or place == f"column {plan.declaration.label}":
            remedy = "declare another label, or say with `positive` which values count as 1"
        elif place == f"column {plan.declaration.timestamp.column}":
            remedy = "correct timestamp.unit, or mend these rows"
        yield Finding("warn", "rows", f"{name}{count:,} of {scan.rows:,} rows: {expected}{where}", remedy)


def refusals(plan: ReadPlan, survey: Survey) -> Iterator[Finding]:
    """What ExampleGen refuses, in its own words."""
    for problem in checks.problems(plan, survey.scan):
        text, _, remedy = problem.rpartition("; ") if "; " in problem.split("\n")[0] else (problem, "", "")
        yield Finding("fail", "ExampleGen", text or problem, remedy or "see what is said there")


def split(plan: ReadPlan, survey: Survey, first_eval_day: int) -> Iterator[Finding]:
    """Rows and classes on both sides of the split, and days that are missing."""
    declaration = plan.declaration
    day_ms = declaration.split.day_ms
    domains = survey.domains
    train, evaluated = (
        domains.filter(pl.col("day") < first_eval_day),
        domains.filter(pl.col("day") >= first_eval_day),
    )
    name = checks.day_name(first_eval_day, day_ms)
    yield Finding(
        "ok",
        "split",
        f"train {_rows(train):,} rows before {name}, eval {_rows(evaluated):,} rows from then on",
    )
    for part, rows in (("train", train), ("eval", evaluated)):
        positives = int(rows["positives"].sum())
        if positives in (0, _rows(rows)):
            yield Finding(
                "fail",
                "split",
                f"all labels of {part} are {int(positives > 0)}",
                "change split.eval_days, or give more days",
            )
    yield from _gaps(sorted(survey.scan.days.items()), day_ms, declaration.split.day_word)


def _gaps(days: list[tuple[int, int]], day_ms: int, word: str) -> Iterator[Finding]:
    known = dict(days)
    remedy = "check that no file is missing"
    if absent := without_rows(known, day_ms, word):
        yield Finding("warn", "time", absent, remedy)
    usual = sorted(rows for _, rows in days)[len(days) // 2]
    thin = [day for day, rows in days if rows < _THIN_DAY * usual]
    if thin:
        shown = ", ".join(f"{checks.day_name(day, day_ms)} ({known[day]:,} rows)" for day in thin[:_SHOWN])
        yield Finding(
            "warn",
            "time",
            f"{len(thin)} {word} with less than a tenth of the usual {usual:,} rows: {shown}",
            remedy,
        )


def domains(plan: ReadPlan, survey: Survey, first_eval_day: int) -> Iterator[Finding]:
    """Domains that cannot be evaluated, and whether enough can."""
    declaration = plan.declaration
    least = declaration.evaluation.min_rows
    sums = survey.domains.group_by("domain").agg(
        rows=pl.col("rows").filter(pl.col("day") >= first_eval_day).sum(),
        positives=pl.col("positives").filter(pl.col("day") >= first_eval_day).sum(),
        train=pl.col("rows").filter(pl.col("day") < first_eval_day).sum(),
    )
    gates = declaration.evaluation
    gated = bool(gates.thresholds or gates.domains)
    few_rows = too_few_words(int(sums["rows"].sum()), int(sums["positives"].sum()), gates.min_rarer)
    if gated and few_rows is not None:
        yield Finding("fail", "evaluation", few_rows, _PUSHES_NONE)
    rarer = pl.min_horizontal("positives", pl.col("rows") - pl.col("positives"))
    both, enough = rarer > 0, (rarer >= rarer_rows(least)) & (pl.col("rows") >= least)
    decide = sums.filter(enough)
    remedy = "more evaluation days (split.eval_days), or a lower evaluation.min_rows"
    text = f"{len(decide)} of {len(sums)} domains decide: {needed(least)} in the evaluation"
    if decide.is_empty():
        gated = "average_auc" in declaration.evaluation.thresholds
        yield Finding("fail" if gated else "warn", "domains", text, remedy)
    else:
        yield Finding("ok" if len(decide) > 1 else "warn", "domains", text, "" if len(decide) > 1 else remedy)
    one_class = sums.filter(~both & (pl.col("rows") > 0))
    if len(one_class):
        yield Finding(
            "warn",
            "domains",
            f"one class in the evaluation: {_names(one_class)}",
            "they have no AUC and never decide; nothing to do if they are small",
        )
    few = sums.filter(both & ~enough)
    if len(few):
        yield Finding(
            "warn",
            "domains",
            f"too few rows, or too few of a class, in the evaluation: {_names(few)}",
            remedy,
        )
    unknown = sums.filter(pl.col("train") == 0)
    if len(unknown):
        yield Finding(
            "warn",
            "domains",
            f"no training rows: {_names(unknown)}",
            "they are scored as an unknown domain (docs/serving.md, Unknown domains); give earlier days",
        )


def _names(domains: pl.DataFrame) -> str:
    ordered = domains.sort("rows", descending=True)
    shown = ", ".join(
        f"{name} ({rows:,} rows, {clicks:,} {'click' if clicks == 1 else 'clicks'})"
        for name, rows, clicks in ordered.select("domain", "rows", "positives").head(_SHOWN).iter_rows()
    )
    return shown + (f" and {len(domains) - _SHOWN} more" if len(domains) > _SHOWN else "")


def newcomers(survey: Survey, first_eval_day: int) -> Iterator[Finding]:
    """Users and items that the evaluation meets for the first time."""
    for role in survey.ids:
        found = survey.newcomers(role, first_eval_day)
        if found is None or found.rows == 0:
            continue
        share = found.new_rows / found.rows
        estimate = "" if found.one_in == 1 else f" (estimated from one {role} in {found.one_in})"
        text = (
            f"{found.new / max(1, found.ids):.1%} of the evaluation's {found.ids:,} {role}s are new, with "
            f"{share:.1%} of its rows{estimate}"
        )
        cold = share > _COLD
        remedy = f"the model knows little of most {role}s: expect its features and averages to count, not ids"
        yield Finding("warn" if cold else "ok", f"cold {role}s", text, remedy if cold else "")


def columns(plan: ReadPlan, survey: Survey, refused: bool = False) -> Iterator[Finding]:
    """Lookups that do not match, features that are hardly ever there.

    Args:
      plan: what is read.
      survey: what was seen.
      refused: whether the schema refuses the rows: a lookup that does not match may be why.
    """
    accepted = max(1, survey.scan.accepted)
    for name, rows in survey.unmatched.items():
        if rows > FEW * accepted and (refused or rows == accepted):
            remedy = "write the keys alike in both, or give a fuller table"
            words = unmatched_words(name, rows, accepted)
            yield Finding("fail" if refused else "warn", "lookups", words, remedy)
        elif rows > FEW * accepted:
            yield Finding(
                "warn",
                "lookups",
                f"{name}: {rows / accepted:.1%} of the rows have no match; its columns are missing there",
                "check the key, or give a fuller table",
            )
    empty = [name for name, rows in survey.missing.items() if rows == accepted]
    rare = [name for name, rows in survey.missing.items() if _MISSING * accepted <= rows < accepted]
    some = sorted(
        ((name, rows) for name, rows in survey.missing.items() if 0 < rows < _MISSING * accepted),
        key=lambda item: -item[1],
    )
    if some:
        shown = ", ".join(f"{name} {_share(rows / accepted)}" for name, rows in some[:_SHOWN])
        more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
        yield Finding("ok", "features", f"missing: {shown}{more}")
    if empty:
        yield Finding(
            "warn", "features", f"never there: {', '.join(empty)}", "remove them from the declaration"
        )
    if rare:
        yield Finding(
            "warn",
            "features",
            f"missing in {_MISSING:.0%} of the rows or more: "
            + ", ".join(f"{name} {_share(survey.missing[name] / accepted)}" for name in rare),
            "worth a look",
        )


def duplicates(survey: Survey, count: int) -> Iterator[Finding]:
    """Rows equal to an earlier one in every column."""
    share = count / max(1, survey.scan.accepted)
    text = f"{count:,} rows ({share:.1%}) repeat an earlier row in every column and are dropped"
    many = share > _DUPLICATES
    yield Finding(
        "warn" if many else "ok", "duplicates", text, "check that no file is given twice" if many else ""
    )


def _share(share: float) -> str:
    """ "3.1%", and of very few rows that there are some."""
    return f"{share:.1%}" if share >= 0.0005 else "below 0.1%"


def _rows(domains: pl.DataFrame) -> int:
    return int(domains["rows"].sum())
