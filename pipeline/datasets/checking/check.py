"""`dfei dataset check`: the files, then a sample, then every row once, with the code that a run reads with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from components.dataset.declaration import Declaration
from components.dataset.events import plan_events
from components.dataset.files import find_files
from components.dataset.impressions import Rows
from components.dataset.joins import LookupTable, read_lookup
from components.dataset.parquet import read_metadata
from components.dataset.read_plan import ReadPlan, cut, plan_reading
from components.dataset.schema import declared_schema, missing_schema
from components.dataset.sections import Events
from components.dataset.unread import file_notes
from components.errors import InputError
from components.example_gen import checks
from components.progress import Progress
from components.transform.transform_plan import make_plan
from pipeline.datasets.checking import rules
from pipeline.datasets.checking.findings import CheckResult, Finding, sorted_findings
from pipeline.datasets.checking.values import DeclaredValues
from pipeline.datasets.sampling import sample_pieces
from pipeline.datasets.survey import Survey, survey

SAMPLE_ROWS = 50_000
Listener = Callable[[Progress], None]


def check(
    declaration: Declaration,
    data: Path,
    *,
    quick: bool = False,
    progress: Listener = lambda _: None,
    early: Callable[[tuple[Finding, ...]], None] = lambda _: None,
) -> CheckResult:
    """Looks for everything that a run would trip over.

    Args:
      declaration: the data set.
      data: the folder with its files.
      quick: stop after the sample, before the rules of the split, the domains and the schema.
      progress: hears how far it is.
      early: hears what the sample shows, before all rows are read.
    Returns:
      The findings; it never raises for what a run would refuse.
    """
    findings: list[Finding] = []
    shown = declaration.source or declaration.name

    def result(found: Survey | None = None, **figures: Any) -> CheckResult:
        rows = found.scan.rows if found is not None else 0
        sampled = found is not None and found.sampled
        return CheckResult(shown, str(data), sorted_findings(findings), rows, sampled, not quick, figures)

    findings += _of_settings(declaration)
    plan = _planned(declaration, data, findings)
    if plan is None:
        return result()
    progress(Progress("reading the lookup tables", 0, unit="tables"))
    tables = _read_lookups(plan, findings)
    if len(tables) < len(plan.lookups):
        return result()
    try:
        pieces = sample_pieces(plan, SAMPLE_ROWS)
        whole = pieces == cut(plan)
        sample = None
        if quick or not whole:
            heard = _heard(progress, "reading a sample", None)
            sample = survey(plan, tables, pieces, heard, sampled=not whole)
            found = [*findings, *_of_sample(plan, sample)]
            if quick:
                findings = found
                return result(sample)
            early(sorted_findings(found))
        # Days are known before the rows are judged by them: a small log is held in between, and read once.
        kept: dict[int, list[Rows]] | None = {} if whole else None
        everything, more = _all_rows(plan, tables, sample, progress, kept)
        findings += more
    except InputError as error:
        findings.append(Finding("fail", "files", str(error), "mend the file"))
        return result()
    return result(everything, **_figures(plan, everything))


def _heard(progress: Listener, step: str, total: int | None) -> Callable[[int], None]:
    return lambda rows: progress(Progress(step, rows, None if total is None else max(total, rows)))


def _of_settings(declaration: Declaration) -> list[Finding]:
    """Settings that a later component would refuse."""
    found = []
    try:
        make_plan(declaration)
    except InputError as error:
        found.append(Finding("fail", "settings", str(error), "change the setting"))
    if declaration.user is None and "gauc" in declaration.evaluation.thresholds:
        found.append(
            Finding(
                "fail",
                "settings",
                "evaluation.thresholds.gauc needs the role `user`",
                "declare `user: COLUMN`, or remove the threshold",
            )
        )
    try:
        declared_schema(declaration)
    except InputError as error:
        found.append(
            Finding("fail", "schema", str(error), "mend the file, or write it anew with `dfei dataset new`")
        )
    absent = missing_schema(declaration)
    if absent is not None:
        told, _, remedy = absent.rpartition("; ")
        found.append(Finding("warn", "schema", told, remedy))
    return found


def _planned(declaration: Declaration, data: Path, findings: list[Finding]) -> ReadPlan | None:
    try:
        plan = plan_reading(declaration, str(data))
    except InputError as error:
        findings.append(
            Finding("fail", "files", str(error), "correct the declaration, or give the right --data")
        )
        findings += _also_missing(declaration, data, str(error))
        return None
    size = sum(file.size for file in plan.files)
    for note in file_notes(declaration, str(data)):
        found, _, remedy = note.rpartition("; ")
        findings.append(Finding("warn", "files", found, remedy))
    findings.append(Finding("ok", "files", f"{len(plan.files)} file(s) of impressions, {size / 1e6:,.1f} MB"))
    findings += [_of_events(declaration, events, data) for events in declaration.events]
    return plan


def _of_events(declaration: Declaration, events: Events, data: Path) -> Finding:
    try:
        told = plan_events(declaration, events, str(data))
    except InputError as error:
        return Finding("fail", "events", str(error), "correct `events`, or give the right --data")
    names = ", ".join(file.name for file in told.reading.files)
    return Finding("ok", "events", f"{names}: {', '.join(told.behaviours)}, by {', '.join(told.sources)}")


def _also_missing(declaration: Declaration, data: Path, said: str) -> list[Finding]:
    """The other declared columns that no file has: a run names the first only."""
    try:
        have = {name for file in find_files(str(data), declaration.impressions) for name in file.columns}
        for lookup in declaration.lookups:
            have |= {lookup.prefix + name for file in find_files(str(data), lookup) for name in file.columns}
    except InputError:
        return []
    absent = [name for name in declaration.raw_columns() if name not in have and f" {name} " not in said]
    if not absent:
        return []
    return [
        Finding("fail", "columns", f"also in none of the files: {', '.join(absent)}", "remove or rename them")
    ]


def _read_lookups(plan: ReadPlan, findings: list[Finding]) -> tuple[LookupTable, ...]:
    tables = []
    for lookup in plan.lookups:
        try:
            table = read_lookup(lookup, plan.declaration)
        except InputError as error:
            findings.append(
                Finding(
                    "fail", "lookups", str(error), f"mend {lookup.name}, or what the declaration says of it"
                )
            )
            continue
        tables.append(table)
        level, more = ("warn", f", {table.rejected:,} of them unusable") if table.rejected else ("ok", "")
        findings.append(Finding(level, "lookups", f"{lookup.name}: {table.rows:,} rows{more}"))  # type: ignore[arg-type]
    return tuple(tables)


def _of_sample(plan: ReadPlan, sample: Survey) -> list[Finding]:
    found = list(rules.rejects(plan, sample))
    scan = sample.scan
    if scan.rows and scan.rejected > plan.declaration.max_rejected_share * scan.rows:
        allowed = f"max_rejected_share {plan.declaration.max_rejected_share} allows"
        text = f"{scan.rejected:,} of {scan.rows:,} sampled rows cannot be used, more than {allowed}"
        found.append(Finding("fail", "sample", text, "see the reasons"))
    elif not sample.sampled:
        found += rules.refusals(plan, sample)
    return found


def _all_rows(
    plan: ReadPlan,
    tables: tuple[LookupTable, ...],
    sample: Survey | None,
    progress: Listener,
    kept: dict[int, list[Rows]] | None,
) -> tuple[Survey, list[Finding]]:
    """Looks at every row; the libraries that only this needs take seconds to load."""
    progress(Progress("loading TFDV", 0))
    from components.example_gen.ingest import likely_rows
    from pipeline.datasets.checking import leaks
    from pipeline.datasets.checking.duplicates import DuplicateCounter
    from pipeline.datasets.checking.schema_rules import MOST_ROWS, SchemaCheck

    declaration = plan.declaration
    pieces = cut(plan)
    if sample is None or not sample.scan.days:
        sample = survey(plan, tables, pieces, _heard(progress, "reading days", None), kept=kept)
    total = likely_total(plan, sample)
    days = sorted(sample.scan.days)
    boundary = days[-min(len(days), declaration.split.eval_days)] if days else 0
    rows = likely_rows(plan)
    schema = SchemaCheck(declaration, boundary, max(1, round(rows / MOST_ROWS)))
    leaking = leaks.LeakSample(declaration, rows)
    values = DeclaredValues(declaration)

    def visit(block: pl.DataFrame) -> None:
        schema.add(block)
        leaking.add(block)
        values.add(block)

    with DuplicateCounter(plan, len(pieces)) as counter:
        found = survey(
            plan,
            tables,
            pieces,
            _heard(progress, "reading all rows", total),
            look=counter.look,
            visit=visit,
            kept=kept,
        )
        repeated = counter.count() if found.scan.accepted else 0
    findings = [*rules.refusals(plan, found), *rules.rejects(plan, found)]
    if len(found.scan.days) <= declaration.split.eval_days:
        return found, findings
    first_eval_day = sorted(found.scan.days)[-declaration.split.eval_days]
    findings += rules.split(plan, found, first_eval_day)
    findings += values.findings(found)
    findings += rules.domains(plan, found, first_eval_day)
    findings += rules.newcomers(found, first_eval_day)
    readable = not any(
        finding.topic == "schema" and finding.level == "fail" for finding in _of_settings(declaration)
    )
    anomalies = list(schema.findings()) if readable else []
    findings += rules.columns(plan, found, any(finding.level == "fail" for finding in anomalies))
    findings += leaking.findings()
    findings += rules.duplicates(found, repeated)
    return found, findings + anomalies


def likely_total(plan: ReadPlan, sample: Survey) -> int | None:
    """Rows to come, for the progress bar; `None` where the sample does not tell."""
    if not sample.sampled:
        return sample.scan.rows
    read = sum(piece.end - piece.start for piece in sample_pieces(plan, SAMPLE_ROWS))
    kinds = {file.format for file in plan.files}
    if kinds == {"parquet"}:
        return sum(read_metadata(file.path).num_rows for file in plan.files)
    if not kinds <= {"csv", "json"} or read == 0:
        return None
    return round(sample.scan.rows * sum(file.size for file in plan.files) / read)


def _figures(plan: ReadPlan, found: Survey) -> dict[str, Any]:
    days = sorted(found.scan.days)
    declaration = plan.declaration
    figures: dict[str, Any] = {"rejected": found.scan.rejected, "days": len(days)}
    if len(days) > declaration.split.eval_days:
        first = days[-declaration.split.eval_days]
        by_day = found.domains.group_by(pl.col("day") >= first).agg(pl.col("rows").sum())
        counts = dict(by_day.iter_rows())
        figures["train"], figures["eval"] = int(counts.get(False, 0)), int(counts.get(True, 0))
        figures["first_eval_day"] = checks.day_name(first, declaration.split.day_ms)
    figures["domains"] = found.domains["domain"].n_unique()
    return figures
