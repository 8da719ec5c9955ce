"""`dfei dataset new`: from files to a declaration and its schema."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from components.dataset.declaration import Declaration, iana_zone
from components.dataset.joins import LookupTable, read_lookup
from components.dataset.label import label_of
from components.dataset.loader import load_declaration
from components.dataset.read_plan import ReadPlan, cut, plan_reading
from components.dataset.sections import Evaluation
from components.dataset.unread import file_notes
from components.errors import InputError
from components.example_gen.scan import days
from components.example_gen.spellings import domain_doubts
from components.progress import Progress
from models.metrics import needed, rarer_rows, telling_rows, too_few_words
from pipeline.datasets.proposal.decider import Asker
from pipeline.datasets.proposal.doubts import doubts
from pipeline.datasets.proposal.draft import Draft, dataset_name, draft, make_columns
from pipeline.datasets.proposal.features import Choice
from pipeline.datasets.proposal.keys import KeyRows, choose
from pipeline.datasets.proposal.named_files import named_after
from pipeline.datasets.proposal.schema_file import schema_file
from pipeline.datasets.proposal.split import DAY_HOURS, choose_split, rows_that_decide
from pipeline.datasets.proposal.tables import Sources, open_sources
from pipeline.datasets.proposal.text_format import TextFormat
from pipeline.datasets.proposal.yaml_text import document, plain, to_text
from pipeline.datasets.sampling import SAMPLE_ROWS
from pipeline.datasets.survey import Survey, Visitor, survey, without_rows


@dataclasses.dataclass(frozen=True)
class ProposalRequest:
    """What the user gave.

    Attributes:
      files: the impressions: files, folders, globs.
      lookups: `FILE=key` texts.
      output: the YAML file to write, or `None` for NAME.yaml here.
      name: of the data set, or `None` for that of `output`, else of the first file.
      roles: label, domain, user, item, timestamp -> column, or `None`.
      positive: which values of the label count as 1.
      zone: the time zone.
      separator, encoding, columns: how csv is written; see `TextFormat`.
      no_time: whether the log has no time at all, and is split at random by user.
      keep: columns to use as features whatever is thought of them.
      set_aside: columns that are only known after the exposure.
      sample: rows that are looked at closely.
      yes: take what is likely without asking.
      force: overwrite files that are there.
    """

    files: Sequence[Path]
    lookups: Sequence[str] = ()
    output: Path | None = None
    name: str | None = None
    roles: dict[str, str | None] = dataclasses.field(default_factory=dict)
    positive: str | None = None
    zone: str | None = None
    separator: str | None = None
    encoding: str | None = None
    columns: Sequence[str] = ()
    keep: Sequence[str] = ()
    set_aside: Sequence[str] = ()
    no_time: bool = False
    sample: int = SAMPLE_ROWS
    yes: bool = False
    force: bool = False


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What was written.

    Attributes:
      declaration: the YAML file.
      schema: the schema beside it.
      data_dir: the folder to give as `--data`.
      draft: the guesses.
      rows: rows of the log.
      survey: what all rows said.
    """

    declaration: Path
    schema: Path
    data_dir: Path
    draft: Draft
    rows: int
    survey: Survey

    def document(self) -> dict[str, Any]:
        """What was written and why, for `--json`."""
        return {
            "declaration": str(self.declaration),
            "schema": str(self.schema),
            "data": str(self.data_dir),
            "name": self.draft.name,
            "rows": self.rows,
            "roles": {
                role: {"column": guess.column, "certainty": guess.certainty, "why": guess.why}
                for role, guess in self.draft.guesses.items()
            },
            "features": [choice.column for choice in self.draft.of("feature")],
            "behaviours": [choice.behaviour or choice.column for choice in self.draft.of("behaviour")],
            "left_out": {choice.column: choice.why for choice in self.draft.of("none")},
            "warnings": list(self.draft.warnings),
        }


def propose(
    request: ProposalRequest, ask: Asker | None, progress: Callable[[Progress], None] = lambda _: None
) -> Proposal:
    """Writes a declaration and its schema.

    Args:
      request: the files and what the user knows of them.
      ask: asks the user for what cannot be guessed; `None`: nobody is there.
      progress: hears how far it is.
    Raises:
      InputError: a file is not usable; a role cannot be guessed; the output is there already.
    """
    of_output = request.output.stem if request.output is not None else None
    name = dataset_name(request.name or of_output or named_after(request.files[0]))
    output = request.output or Path(f"{name}.yaml")
    _require_free(output, request.force)
    _require_zone(request.zone)
    progress(Progress("sampling the files", 0))
    sources = open_sources(
        request.files,
        request.lookups,
        TextFormat(request.separator, request.encoding, request.columns),
        request.sample,
        [*request.keep, *(name for name in request.roles.values() if name)],
    )
    columns = make_columns(sources)
    result = draft(
        name,
        sources,
        columns,
        request.roles,
        request.positive,
        request.zone,
        ask,
        request.yes,
        keep=request.keep,
        set_aside=request.set_aside,
        no_time=request.no_time,
    )
    result.warnings += doubts(result)
    provisional = _valid({**plain(document(result)), "max_rejected_share": 1.0})
    gathered = KeyRows([*provisional.features, provisional.domain], provisional.user)

    def gather(rows: pl.DataFrame) -> None:
        gathered.add(rows, days(rows, provisional.split.day_ms), label_of(rows, provisional))

    plan = plan_reading(provisional, str(sources.data_dir))
    tables = tuple(read_lookup(lookup, provisional) for lookup in plan.lookups)
    found = _look_at_all(plan, tables, sources.log.rows, progress, gather)
    _learn(result, found)
    result.warnings += [
        *_about_lines(plan, tables),
        *domain_doubts(provisional.domain, found.scan.domain_rows),
        *_about_files(sources, provisional),
    ]
    if result.split is not None:
        progress(Progress("choosing averages", 0))
        roles = dict.fromkeys(("user", "item"))
        roles |= {role: result.role(role) for role in ("domain", *result.roles_with_past())}
        past = gathered.before(result.split.first_eval_day)
        chosen = choose(past, roles, result.attributes(), result.shared_entities())
        result.keys = None if chosen is None else chosen.keys
        result.warnings += [] if chosen is None else chosen.doubts
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(_header(sources) + to_text(document(result)), encoding="utf-8")
        declaration = load_declaration(str(output))
        schema = output.with_suffix(".pbtxt")
        schema.write_text(schema_file(declaration, columns), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written: {error.strerror}; name another with --output"
        ) from None
    return Proposal(output, schema, sources.data_dir, result, found.scan.rows, found)


def _about_files(sources: Sources, declaration: Declaration) -> list[str]:
    """Files that are read though they were not named, and such as look like the log and are not."""
    log, said = sources.log, []
    for lookup in sources.lookups:
        if lookup.namesakes:
            shown = ", ".join(lookup.namesakes[:3]) + (" ..." if len(lookup.namesakes) > 3 else "")
            said.append(
                f"{lookup.table.name} and the log both have {shown}, with other values: the table's columns are named "
                f"{lookup.prefix}{lookup.namesakes[0]} and the like (`prefix` of the lookup)"
            )
    if sources.unseen:
        seen = len(log.sample.columns)
        said.append(
            f"the log has {seen + sources.unseen:,} columns: {seen:,} were looked at, those named like a role first; "
            "--keep COLUMN has others looked at, and made features"
        )
    if log.more:
        shown = ", ".join(log.more[:3]) + (" ..." if len(log.more) > 3 else "")
        said.append(
            f"{', '.join(log.section.files)} also matches {len(log.more)} files that were not named ({shown}): they "
            "are read too; name under `impressions.ignore` what is to stay unread"
        )
    return [*said, *file_notes(declaration, str(sources.data_dir))]


def _valid(document: dict[str, Any]) -> Declaration:
    try:
        return Declaration.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
        raise InputError(f"no declaration can be written for these roles: {problems}") from None


def _require_free(output: Path, force: bool) -> None:
    if output.suffix not in (".yaml", ".yml"):
        raise InputError(f"--output {output}: expected a name that ends in .yaml")
    for path in (output, output.with_suffix(".pbtxt")):
        if path.exists() and not force:
            raise InputError(
                f"{path}: is there already; name another file with --output, or overwrite with --force"
            )


def _require_zone(zone: str | None) -> None:
    try:
        if zone is not None:
            iana_zone(zone)
    except ValueError as error:
        raise InputError(f"--time-zone: {error}") from None


def _about_lines(plan: ReadPlan, tables: Sequence[LookupTable]) -> Iterator[str]:
    """Lines of the lookups that cannot be used."""
    allowed = Declaration.model_fields["max_rejected_share"].default
    for lookup, table in zip(plan.lookups, tables, strict=True):
        if not table.rejected:
            continue
        file, line, reason = table.rejects[0]
        fate = (
            f"a run would refuse the table (max_rejected_share is {allowed:g}): mend them, or give it as Parquet"
            if table.rejected > allowed * table.rows
            else "they are left out, and their keys have no row"
        )
        yield (
            f"{lookup.name}: {table.rejected:,} of {table.rows:,} lines cannot be used (the first is {file}:{line}: "
            f"{reason}): {fate}"
        )


def _look_at_all(
    plan: ReadPlan,
    tables: tuple[LookupTable, ...],
    total: int,
    progress: Callable[[Progress], None],
    visit: Visitor,
) -> Survey:
    def heard(rows: int) -> None:
        progress(Progress("looking at all rows", rows, max(total, rows)))

    return survey(plan, tables, cut(plan), heard, visit=visit)


def _learn(result: Draft, found: Survey) -> None:
    """What all rows say: columns that do not fit their type after all, the split, rows that decide."""
    rows = max(1, found.scan.rows)
    result.sources.log.rows = found.scan.rows
    if any("UTF-8" in expected for _, expected in found.reasons):
        result.warnings.append(
            "the log is not UTF-8 text throughout: name its encoding with --encoding, such as cp1252"
        )
    for (place, expected), count in sorted(found.reasons.items(), key=lambda item: -item[1]):
        name = place.removeprefix("column ")
        choice = next((c for c in result.choices if c.column == name and place.startswith("column ")), None)
        if count <= 0.001 * rows:
            result.warnings.append(f"{place}: {count:,} rows cannot be used ({expected})")
        elif choice is not None and choice.place == "feature" and choice.settings["type"] != "string":
            _make_text(choice, count, expected)
        else:
            result.warnings.append(
                f"{place}: {count:,} of {rows:,} rows cannot be used ({expected}): a run would refuse the log"
            )
    days = found.scan.days
    if len(days) < 3:
        return
    word = "days" if result.hours == DAY_HOURS else f"stretches of {result.hours:g} hours"
    absent = "" if result.unit == "random" else without_rows(days, round(result.hours * 3_600_000), word)
    if absent:
        result.warnings.append(f"{absent}; check that no file is missing")
    split = choose_split(days, result.hours)
    result.split = split
    trained = found.domains.filter(pl.col("day") < split.first_eval_day)
    result.train_rows_per_domain = int(trained["rows"].sum()) / max(1, trained["domain"].n_unique())
    evaluated = found.domains.filter(pl.col("day") >= split.first_eval_day)
    result.min_rows = rows_that_decide(_decisive(evaluated))
    last = max(day for day in days if day < split.first_eval_day)
    validated = found.domains.filter(
        (pl.col("day") < split.first_eval_day) & (pl.col("day") > last - split.validation_days)
    )
    result.validation_min_rows = min(100, rows_that_decide(_decisive(validated)))
    _warn_of_few(result, found.domains["domain"].n_unique(), evaluated)


def _warn_of_few(result: Draft, domains: int, evaluated: pl.DataFrame) -> None:
    """Says where the evaluation has too few rows of a class to judge by."""
    deciding = sum(rows >= result.min_rows for rows in _decisive(evaluated))
    result.deciding = deciding
    rows, clicks = int(evaluated["rows"].sum()), int(evaluated["positives"].sum())
    few = too_few_words(rows, clicks, Evaluation().min_rarer)
    if few is not None:
        result.warnings.append(f"{few}. A run of it pushes no model: give more days of logs")
    elif telling_rows(rows, clicks) < result.min_rows:
        result.warnings.append(
            f"the evaluation has {clicks:,} clicks in {rows:,} rows: too few of a class to tell a good model from a "
            "bad one. Give more days of logs before you believe its gates"
        )
    elif deciding == 0:
        result.warnings.append(
            f"no domain decides by itself ({needed(result.min_rows)} in the evaluation): the gates judge all rows "
            "together"
        )
    elif deciding < domains:
        result.warnings.append(
            f"{domains - deciding} of {domains} domains do not decide"
            f"{_named(evaluated, result.min_rows, domains - deciding)}: they have "
            f"fewer than {result.min_rows:,} evaluation rows, or fewer than {rarer_rows(result.min_rows):,} of a class"
        )


def _named(evaluated: pl.DataFrame, min_rows: int, all_of_them: int, shown: int = 3) -> str:
    """Which of so many domains that do not decide, those of most evaluation rows first; others may have none there."""
    sums = evaluated.group_by("domain").agg(pl.col("rows", "positives").sum()).sort("rows", descending=True)
    weak = [
        f"{name} ({rows:,} rows, {clicks:,} {'click' if clicks == 1 else 'clicks'})"
        for name, rows, clicks in sums.select("domain", "rows", "positives").iter_rows()
        if telling_rows(rows, clicks) < min_rows
    ]
    rest = all_of_them - len(weak[:shown])
    return f", as {', '.join(weak[:shown])}{f' and {rest} more' if rest else ''}" if weak else ""


def _decisive(domains: pl.DataFrame) -> list[int]:
    """The highest `min_rows` at which each domain decides."""
    sums = domains.group_by("domain").agg(pl.col("rows", "positives").sum())
    return [telling_rows(rows, clicks) for rows, clicks in sums.select("rows", "positives").iter_rows()]


def _make_text(choice: Choice, count: int, expected: str) -> None:
    choice.settings = {"type": "string", "treatment": "vocabulary", "min_count": 5}
    what = re.sub("^expected (an? )?", "", expected)
    choice.why = f"a text: {count:,} rows hold no {what}, though the sample does"


def _header(sources: Sources) -> str:
    # A file's name may hold a line break, which would end the comment.
    named = " ".join(sources.log.name.split())
    first = [
        f"# Proposed by `dfei dataset new` from {named}.",
        "# Every guess says why. Change what is wrong, and look again with `dfei dataset check`.",
    ]
    return "\n".join(first) + "\n"
