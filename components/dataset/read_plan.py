"""Decides, before a row is read, which column comes from which file, and cuts the log into pieces of work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from components.dataset.declaration import Declaration
from components.dataset.files import DataFile, find_files, require_column
from components.dataset.names import meant
from components.dataset.parquet import read_metadata
from components.dataset.parquet_types import require_usable
from components.dataset.sections import ColumnType
from components.errors import InputError

_SMALLEST_PIECE = 4 << 20
_LARGEST_PIECE = 32 << 20
_PIECES = 16
_MOST_FILES = 1_000
_SHOWN = 5
# How much smaller a file may be than its rows.
_PACKED = 4


@dataclass(frozen=True)
class Piece:
    """What one worker reads: bytes of a csv file, row groups of a Parquet file, or several small files.

    Attributes:
      index: its place in the order of (file, line).
      file: the file's place in `ReadPlan.files`; of several, the first one's.
      start, end: first and past-the-end byte, or row group; a compressed csv file is one piece.
      files: how many there are, of which the further ones are whole.
    """

    index: int
    file: int
    start: int
    end: int
    files: int = 1


@dataclass(frozen=True)
class LookupPlan:
    """A lookup table's part in the join.

    Attributes:
      files: its files.
      name: how reports and messages name it: its files, and its key where another lookup reads the same files.
      left_key: column of the impressions (or of a lookup before it).
      right_key: column of its own files.
      key_type: type in which both are compared.
      columns: name in the joined row -> name in the files; without the key.
      kinds: name in the joined row -> type.
    """

    files: tuple[DataFile, ...]
    name: str
    left_key: str
    right_key: str
    key_type: ColumnType
    columns: dict[str, str]
    kinds: dict[str, ColumnType]


@dataclass(frozen=True)
class ReadPlan:
    """What is read from where.

    Attributes:
      declaration: the data set.
      files: the impression files, in order.
      log_columns: columns taken from the impressions, with their types.
      lookups: the lookups, in the order of the join.
    """

    declaration: Declaration
    files: tuple[DataFile, ...]
    log_columns: dict[str, ColumnType]
    lookups: tuple[LookupPlan, ...]

    @property
    def domain_is_joined(self) -> bool:
        """Whether the domain comes from a lookup, so that it is only known after the join."""
        return self.declaration.domain not in self.log_columns


def plan_reading(declaration: Declaration, data_dir: str) -> ReadPlan:
    """Finds the files and assigns every needed column to the impressions or to one lookup.

    A column that the impressions have is taken from there, else from the one lookup that has it.

    Raises:
      InputError: a folder, file or column is missing (with close names); two lookups have a needed column; the
        label or the timestamp is not in the impressions, or the domain where `split.domains_since` needs it; a
        Parquet column's type cannot be what is declared.
    """
    files = tuple(find_files(data_dir, declaration.impressions))
    tables = [tuple(find_files(data_dir, lookup)) for lookup in declaration.lookups]
    needed = declaration.raw_columns()
    in_log = {name for file in files for name in file.columns}
    for name, what in ((declaration.label, "the label"), (declaration.timestamp.column, "the timestamp")):
        if name not in in_log:
            require_column(name, what, files)
    log_columns = {name: kind for name, kind in needed.items() if name in in_log}
    if declaration.split.domains_since and declaration.domain not in in_log:
        raise InputError(
            f"split.domains_since: the domain {declaration.domain} is joined from a lookup: this needs it in the "
            "impressions"
        )
    names = _names(declaration, tables)
    offered: list[dict[str, str]] = []
    keys: list[dict[str, ColumnType]] = [{} for _ in tables]
    for lookup, table, name in zip(declaration.lookups, tables, names, strict=True):
        same = lookup.left_key == lookup.right_key
        remedy = f"If it has another name there: `key: {{{lookup.left_key}: THEIRS}}`" if same else ""
        require_column(lookup.right_key, "the key of the lookup", table, remedy)
        left, kind = lookup.left_key, _key_type(declaration, lookup.left_key)
        if left in in_log:
            log_columns[left] = kind
        else:
            keys[_origin(left, name, list(zip(names, offered, strict=False)), files)][left] = kind
        # Its own key, under the same name, comes from the impressions or from a lookup before it.
        offered.append(
            {
                lookup.prefix + column: column
                for column in dict.fromkeys(column for file in table for column in file.columns)
                if lookup.prefix + column not in in_log and lookup.prefix + column != left
            }
        )
    _assign(needed, in_log, list(zip(names, offered, strict=True)), files)
    lookups = []
    for number, (lookup, table) in enumerate(zip(declaration.lookups, tables, strict=True)):
        kinds = {
            column: kind for column, kind in {**needed, **keys[number]}.items() if column in offered[number]
        }
        columns = {column: source for column, source in offered[number].items() if column in kinds}
        for source in columns.values():
            require_column(source, "which another file of the lookup has", table)
        key_type = _key_type(declaration, lookup.left_key)
        lookups.append(
            LookupPlan(table, names[number], lookup.left_key, lookup.right_key, key_type, columns, kinds)
        )
    for name in log_columns:
        require_column(name, "which another file of the impressions has", files)
    _require_usable(declaration, files, log_columns, lookups)
    return ReadPlan(declaration, files, log_columns, tuple(lookups))


def _names(declaration: Declaration, tables: Sequence[Sequence[DataFile]]) -> list[str]:
    """The lookups' names: their files, and the key where the same files are joined by another one too."""
    names = [", ".join(file.name for file in table) for table in tables]
    return [
        f"{name} by {lookup.left_key}" if names.count(name) > 1 else name
        for name, lookup in zip(names, declaration.lookups, strict=True)
    ]


def _key_type(declaration: Declaration, key: str) -> ColumnType:
    """A key's declared type; keys that are only keys are compared as text."""
    return declaration.column_type(key) if declaration.has_type(key) else "string"


def _origin(
    key: str, lookup: str, earlier: Sequence[tuple[str, dict[str, str]]], files: Sequence[DataFile]
) -> int:
    """The number of the one lookup before that has the key of a lookup."""
    origins = [number for number, (_, columns) in enumerate(earlier) if key in columns]
    if not origins:
        require_column(key, f"the key of the lookup {lookup}", files)
    if len(origins) > 1:
        raise InputError(
            f"the column {key}, the key of the lookup {lookup}, is in "
            f"{' and in '.join(earlier[number][0] for number in origins)}: give one of these lookups a `prefix`"
        )
    return origins[0]


def _require_usable(
    declaration: Declaration,
    files: Sequence[DataFile],
    log_columns: Iterable[str],
    lookups: Iterable[LookupPlan],
) -> None:
    """Checks the types of what is read from Parquet files, and that lists in texts have a separator."""
    lists = {name for name, feature in declaration.features.items() if feature.is_list}
    unsplit = {name for name in lists if declaration.features[name].separator is None}
    _require_separators(files, unsplit.intersection(log_columns))
    for lookup in lookups:
        _require_separators(
            lookup.files, {source for name, source in lookup.columns.items() if name in unsplit}
        )
    for file in files:
        require_usable(file, {name: name in lists for name in log_columns})
    for lookup in lookups:
        sources = {source: name in lists for name, source in lookup.columns.items()}
        for file in lookup.files:
            require_usable(file, {**sources, lookup.right_key: False})


def _require_separators(files: Sequence[DataFile], columns: set[str]) -> None:
    for file in files:
        for name in sorted(columns.intersection(file.columns)):
            if file.format.startswith("csv") or name not in file.own_columns:
                raise InputError(
                    f"{file.path}: column {name}: is declared a list, and is a text here: give its feature the "
                    '`separator` of its values, such as "|"'
                )


def _assign(
    needed: dict[str, ColumnType],
    in_log: set[str],
    joined: Sequence[tuple[str, dict[str, str]]],
    files: Sequence[DataFile],
) -> None:
    """Checks that every needed column has exactly one origin."""
    for name in needed:
        if name in in_log:
            continue
        origins = [lookup for lookup, columns in joined if name in columns]
        if len(origins) > 1:
            raise InputError(
                f"the column {name} is in {' and in '.join(origins)}: give one of these lookups a `prefix`, "
                "and declare the column under its prefixed name"
            )
        if not origins:
            # What has a place already is no other spelling of this one.
            free = sorted(in_log.union(*(set(columns) for _, columns in joined)) - set(needed))
            close, some = meant(name, free), ", ".join(free[:_SHOWN]) + (" ..." if len(free) > _SHOWN else "")
            hint = f" Did you mean {close}?" if close else f" Nothing reads: {some}." if free else ""
            looked = ", ".join([files[0].name, *(lookup for lookup, _ in joined)])
            raise InputError(
                f"the column {name} is declared, but is in none of the files ({looked}).{hint}"
                " Correct the name in the declaration, or remove it."
            )


def cut(plan: ReadPlan, piece_bytes: int | None = None) -> list[Piece]:
    """Cuts the impression files into pieces, in the order of (file, line); small files that follow each other are one.

    Args:
      plan: the files.
      piece_bytes: size of a piece; by default a sixteenth of all, between 4 and 32 MB.
    """
    total = sum(file.size for file in plan.files)
    size = piece_bytes or max(_SMALLEST_PIECE, min(_LARGEST_PIECE, total // _PIECES))
    pieces: list[Piece] = []
    number = 0
    while number < len(plan.files):
        together = _together(plan.files, number, size)
        # Several are read whole, though the first may hold nothing.
        for start, end in [(0, 0)] if together > 1 else _ranges(plan.files[number], size):
            pieces.append(Piece(len(pieces), number, start, end, together))
        number += together
    return pieces


def _together(files: Sequence[DataFile], first: int, size: int) -> int:
    """How many files, from the first on, are small enough to be read as one piece; 1 for one that is not small."""
    held = count = 0
    for file in files[first : first + _MOST_FILES]:
        held += file.size * (_PACKED if file.is_packed or file.format == "parquet" else 1)
        if held > size:
            break
        count += 1
    return max(1, count)


def _ranges(file: DataFile, size: int) -> Iterator[tuple[int, int]]:
    if file.is_packed:
        yield 0, file.size
    elif file.format != "parquet":
        for start in range(file.data_start, file.size, size):
            yield start, min(start + size, file.size)
    else:
        metadata = read_metadata(file.path)
        start, held = 0, 0
        for group in range(metadata.num_row_groups):
            held += metadata.row_group(group).total_byte_size
            if held >= size or group == metadata.num_row_groups - 1:
                yield start, group + 1
                start, held = group + 1, 0
