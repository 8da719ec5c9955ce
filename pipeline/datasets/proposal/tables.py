"""The files that a user names: opened, told apart, sampled, their lookup tables joined to the sample."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from components.dataset.blocks import read_all
from components.dataset.encodings import NO_TEXT, encoding_hint, is_in_utf_8
from components.dataset.file_names import SUFFIXES, is_any_text, suffix_of
from components.dataset.files import DataFile, find_files, open_text, require_column
from components.dataset.names import key_readings
from components.dataset.sections import UTF_8, Impressions
from components.dataset.separators import shown_separator
from components.dataset.values import to_type
from components.errors import InputError
from pipeline.datasets.proposal.figures import mean
from pipeline.datasets.proposal.headers import HEADER, require_header
from pipeline.datasets.proposal.named_files import Patterns, as_patterns, common_folder, expand, literal
from pipeline.datasets.proposal.text_format import TextFormat, settings_of
from pipeline.datasets.proposal.words import DOMAINS, ITEMS, LABELS, TIMES, USERS, WEAK_DOMAINS, has
from pipeline.datasets.sampling import SAMPLE_ROWS, readable, sample_rows

MOST_COLUMNS = 2_000
"""Columns of a log that are looked at one by one: some seconds, and as many as a declaration comfortably holds."""
_ROLES = frozenset[str]().union(USERS, ITEMS, TIMES, *DOMAINS, *LABELS, *WEAK_DOMAINS)
_KEY = "__key"
_THEIRS = "__their "
_SHOWN_COLUMNS = 12


@dataclass
class Table:
    """Files of one table.

    Attributes:
      files: in order.
      section: how the declaration names them, relative to the data folder, and what it says of their text.
      sample: rows as they are written.
      rows: a good guess at their number.
      bad_lines: lines of the sample that are no rows.
      more: files that the patterns match and that were not named.
    """

    files: tuple[DataFile, ...]
    section: Impressions
    sample: pl.DataFrame
    rows: int
    bad_lines: int
    more: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether the sample is all of it."""
        return len(self.sample) >= self.rows

    @property
    def name(self) -> str:
        """Its files, as messages name them."""
        return ", ".join(file.name for file in self.files[:3]) + (" ..." if len(self.files) > 3 else "")


@dataclass
class LookupSource:
    """A lookup table and how it is joined.

    Attributes:
      table: its files; the sample holds only rows whose key occurs in the impressions' sample.
      left_key, right_key: the key's column in the impressions and in the table.
      prefix: put before its column names.
      columns: name in the joined row -> name in the files, without the key and what the impressions have too.
      namesakes: columns that the impressions have by that name with other values: what the prefix is for.
      matched: share of the sampled impressions with a row here.
    """

    table: Table
    left_key: str
    right_key: str
    prefix: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    namesakes: list[str] = field(default_factory=list)
    matched: float = 0.0


@dataclass
class Sources:
    """Everything a declaration is proposed for.

    Attributes:
      data_dir: the folder to give as `--data`.
      log: the impressions.
      lookups: the lookup tables.
      rows: the sampled impressions with every column of the lookups.
      unseen: columns of the impressions that are not looked at, for there are too many.
    """

    data_dir: Path
    log: Table
    lookups: list[LookupSource]
    rows: pl.DataFrame
    unseen: int = 0

    def origin(self, column: str) -> LookupSource | None:
        """The lookup that a column comes from; `None` for one of the impressions."""
        return next((lookup for lookup in self.lookups if column in lookup.columns), None)


def open_sources(
    files: Sequence[Path],
    lookups: Sequence[str],
    text: TextFormat,
    rows: int = SAMPLE_ROWS,
    named_columns: Sequence[str] = (),
) -> Sources:
    """Opens and samples what the command line names.

    Args:
      files: the impressions: files, folders, globs.
      lookups: `FILE=key` or `FILE=column:key`, the key's name in the impressions and in the file.
      text: how csv is written.
      rows: rows of the sample.
      named_columns: looked at however many there are.
    Raises:
      InputError: the separator cannot be one; a file cannot be read or has other columns than the first; a key is in
        neither table.
    """
    named = [_lookup_argument(argument) for argument in lookups]
    settings = settings_of(text, [path for path, _ in named])
    tables = [expand(path) for path, _ in named]
    joined_files = [path for table in tables for path in table]
    paths = list(dict.fromkeys(path for argument in files for path in expand(argument, joined_files)))
    data_dir = common_folder([*paths, *joined_files])
    log = _open(
        data_dir,
        paths,
        settings[None],
        rows,
        files,
        lambda every: _looked_at(every, {*named_columns, *(_key(key, every, ())[0] for _, key in named)}),
    )
    if log.bad_lines > len(log.sample):
        raise InputError(_no_rows(log))
    if log.sample.is_empty():
        raise InputError(f"{log.files[0].path}: no impressions: there is nothing below the header")
    joined = log.sample
    sources: list[LookupSource] = []
    for (path, key), its_files in zip(named, tables, strict=True):
        columns = find_files(str(data_dir), _section(data_dir, its_files, settings[path], path))[0].columns
        left, right = _key(key, log.files[0].columns, columns)
        require_column(
            left,
            f"the key of the lookup {path.name}",
            log.files,
            f"If it has another name there: --lookup {path}=OURS:{right}" if left == right else "",
        )
        table = _open(data_dir, its_files, settings[path], rows, [path], list, key=(joined[left], right))
        _require_text(table)
        lookup = LookupSource(table, left, right)
        joined = _join(joined, lookup, log.files[0].columns, sources)
        sources.append(lookup)
    return Sources(data_dir, log, sources, joined, len(log.files[0].columns) - len(log.sample.columns))


def _looked_at(columns: Sequence[str], named: Set[str]) -> list[str]:
    """Of very many columns those that are named, then those that may have a role by their names, then the first."""
    if len(columns) <= MOST_COLUMNS:
        return list(columns)
    likely = sorted(columns, key=lambda name: (name not in named, not has(name, _ROLES)))
    chosen = set(likely[:MOST_COLUMNS])
    return [name for name in columns if name in chosen]


def _key(text: str, log: Sequence[str], table: Sequence[str]) -> tuple[str, str]:
    """The key's names in the log and in the table: names may hold colons, so what is there decides."""
    readings = [(reading[0], reading[-1]) for reading in key_readings(text)]
    both = [(left, right) for left, right in readings if left in log and right in table]
    one = [(left, right) for left, right in readings if left in log or right in table]
    return (both or one or readings[-1:])[0]


def _no_rows(table: Table) -> str:
    """Why most lines are no rows: the first of them, and what it is a sign of."""
    columns = table.files[0].columns
    first, reason = next(_bad_lines(table.files), (table.files[0].path, "changed while it was read"))
    if reason.startswith("expected"):
        hint = f"Is the first line the header (columns: {', '.join(columns)[:60]}), and --separator right?"
    elif "UTF-8" in reason:
        hint = encoding_hint(table.files[0].head()).removeprefix("; ").capitalize()
    else:
        hint = "A value has no line breaks, and a quote inside a quoted value is written twice"
    lines = table.bad_lines + len(table.sample)
    return f"{first}: {reason}; {table.bad_lines:,} of {lines:,} lines are no rows. {hint}"


def _require_text(table: Table) -> None:
    """Refuses a table with lines that its encoding does not have: their keys would be without a row, unnoticed."""
    if table.bad_lines and (line := next(_bad_lines(table.files, NO_TEXT), None)) is not None:
        lines = table.rows + table.bad_lines
        hint = encoding_hint(table.files[0].head())
        raise InputError(f"{line[0]}: {NO_TEXT}; {table.bad_lines:,} of {lines:,} lines are no rows{hint}")


def _bad_lines(files: Sequence[DataFile], only: str = "") -> Iterator[tuple[str, str]]:
    """Place and reason of each line that is no row; with `only`, of those with this reason."""
    for file in files:
        line = file.first_line
        for block in read_all(file):
            for number, reason in block.bad:
                if reason == only or not only:
                    yield f"{file.path}:{line + number}", reason
            line += block.count


def _lookup_argument(text: str) -> tuple[Path, str]:
    path, equals, key = text.rpartition("=")
    if not equals or not path or not key:
        raise InputError(
            f"--lookup {text}: expected FILE=key, the column that both tables have, as in --lookup users.csv=user_id; "
            "or FILE=OURS:THEIRS where the names differ"
        )
    return Path(path), key


def _section(
    data_dir: Path, paths: Sequence[Path], settings: Mapping[str, Any], lookup: Path | None = None
) -> Impressions:
    """What a declaration would say of the files as they are named."""
    names = settings["columns"]
    separator = settings["separator"] or _other_separator(paths[0])
    chosen = {**settings, "separator": separator, "columns": [] if names == [HEADER] else names}
    section = Impressions(files=literal(data_dir, paths).texts, **chosen)
    if section.encoding != UTF_8:
        # What is given is of the texts that need it: a table may be written otherwise than the log.
        first = find_files(str(data_dir), section)[0]
        if first.encoding == UTF_8 or is_in_utf_8(first.head()):
            section = section.model_copy(update={"encoding": UTF_8})
    if names != [HEADER]:
        for file in find_files(str(data_dir), section):
            require_header(file, lookup)
    return section


def _open(
    data_dir: Path,
    paths: Sequence[Path],
    settings: Mapping[str, Any],
    rows: int,
    arguments: Sequence[Path],
    looked_at: Callable[[Sequence[str]], list[str]],
    key: tuple[pl.Series, str] | None = None,
) -> Table:
    section = _section(data_dir, paths, settings)

    def found(patterns: Patterns) -> tuple[DataFile, ...]:
        return tuple(find_files(str(data_dir), section.model_copy(update={"files": patterns.texts})))

    # A table of another day would repeat a lookup's keys.
    patterns = (
        as_patterns(data_dir, paths, arguments) if key is None else literal(data_dir, paths, arguments[0])
    )
    files = found(patterns)
    if patterns.more and len({frozenset(file.columns) for file in files}) > 1:
        patterns = literal(data_dir, paths)
        files = found(patterns)
    _require_same_columns(files)
    if key is None:
        sample, likely, bad = sample_rows(files, rows, looked_at(files[0].columns))
    else:
        ours, theirs = key[0].name, key[1]
        remedy = (
            f"If it has another name there: --lookup {arguments[0]}={ours}:THEIRS" if ours == theirs else ""
        )
        require_column(theirs, "the key of the lookup", files, remedy)
        sample, likely, bad = _rows_of_keys(files, *key)
    more = [str(path.relative_to(data_dir)) for path in patterns.more]
    section = section.model_copy(update={"files": patterns.texts})
    return Table(files, section, sample, likely, bad, more)


def _require_same_columns(files: Sequence[DataFile]) -> None:
    for file in files[1:]:
        if set(file.columns) != set(files[0].columns):
            differing = sorted(set(file.columns) ^ set(files[0].columns))[:_SHOWN_COLUMNS]
            raise InputError(
                f"{file.path}: has other columns than {files[0].path} ({', '.join(differing)}): all files of the "
                f"impressions need the same; give a table to join as --lookup {file.name}=KEY"
            )


def _other_separator(path: Path) -> str | None:
    """A separator that cuts the first lines into more columns than the suffix's; `None` where that is right."""
    suffix = suffix_of(path.name).lower()
    if not suffix or SUFFIXES[suffix][0] not in ("csv", "csv.gz"):
        return None
    kind, usual = SUFFIXES[suffix]
    try:
        with open_text(path, kind) as stream:
            first = stream.readlines(1 << 16)[:20]
    except (OSError, EOFError, zlib.error):
        # Reading it says what is wrong with it.
        return None
    lines = [line.decode("utf-8", "replace").rstrip("\r\n") for line in first]
    # A `.csv` is believed to have commas; the name of a `.dat` says nothing, and its titles may have some.
    shown = shown_separator(lines, "" if is_any_text(path.name) else usual)
    return None if shown == usual else shown


def as_key(column: pl.Series) -> pl.Series:
    """Values as text in which `7`, `7.0` and the number 7 are the same."""
    whole = to_type(column, "int") if not isinstance(column.dtype, pl.List) else None
    if whole is not None and not whole.bad.any():
        return whole.values.cast(pl.String)
    return column.cast(pl.String).str.strip_chars()


def _rows_of_keys(
    files: Sequence[DataFile], wanted: pl.Series, right_key: str
) -> tuple[pl.DataFrame, int, int]:
    """The rows of a lookup whose key is wanted, without holding the others."""
    keys = as_key(wanted).unique().implode()
    frames, rows, bad = [], 0, 0
    for file in files:
        for block in read_all(file):
            rows += len(block.frame)
            bad += len(block.bad)
            frame = readable(block.frame)
            frames.append(frame.filter(as_key(frame[right_key]).is_in(keys.explode())))
    columns = list(files[0].columns)
    return pl.concat([frame.select(columns) for frame in frames], how="vertical_relaxed"), rows, bad


def _join(
    joined: pl.DataFrame, lookup: LookupSource, log_columns: Sequence[str], earlier: Sequence[LookupSource]
) -> pl.DataFrame:
    table = lookup.table
    taken = {name for source in earlier for name in source.columns}
    own = [name for name in table.files[0].columns if name != lookup.right_key]
    rows = table.sample.with_columns(as_key(table.sample[lookup.right_key]).alias(_KEY)).unique(
        _KEY, keep="first", maintain_order=True
    )
    keys = as_key(joined[lookup.left_key])
    lookup.matched = mean(keys.is_in(rows[_KEY]))

    def joined_by(columns: Mapping[str, str]) -> pl.DataFrame:
        right = rows.select(_KEY, *(pl.col(source).alias(name) for name, source in columns.items()))
        return joined.with_columns(keys.alias(_KEY)).join(right, on=_KEY, how="left", maintain_order="left")

    shared = [name for name in own if name in log_columns]
    theirs = joined_by({_THEIRS + name: name for name in shared if name in joined.columns})
    lookup.namesakes = [name for name in shared if not _is_copy(theirs, name)]
    if lookup.namesakes or any(name in taken and name not in log_columns for name in own):
        lookup.prefix = Path(table.files[0].name).name.split(".")[0] + "_"
    copies = set(shared).difference(lookup.namesakes)
    lookup.columns = {
        lookup.prefix + name: name
        for name in own
        if name not in copies and lookup.prefix + name not in log_columns
    }
    return joined_by(lookup.columns).drop(_KEY)


def _is_copy(joined: pl.DataFrame, name: str) -> bool:
    """Whether a lookup's column says in every row that it has what the log's column of that name says."""
    if _THEIRS + name not in joined.columns:
        return False
    log, theirs = joined[name], joined[_THEIRS + name]
    if not (isinstance(log.dtype, pl.List) or isinstance(theirs.dtype, pl.List)):
        log, theirs = as_key(log), as_key(theirs)
    elif log.dtype != theirs.dtype:
        return False
    return bool((theirs.is_null() | log.eq_missing(theirs)).all())
