"""Files that look like the log and that nobody would read, and files that are read though they are no part of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from components.dataset.declaration import Declaration
from components.dataset.file_names import shape
from components.dataset.files import DataFile, inspect
from components.dataset.patterns import below, files_of, folder_of, matches, relative_name
from components.dataset.sections import Events, Impressions, Lookup
from components.errors import InputError

_MOST_SEEN = 100_000
_MOST_OPENED = 200
# What says which files of a table count, beside them or in a folder above.
_TABLES = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata/version-hint.text": "Iceberg"}


def file_notes(declaration: Declaration, data_dir: str) -> list[str]:
    """What to tell the user about the files below the folder, each with the remedy behind a semicolon.

    Args:
      declaration: the data set.
      data_dir: the folder.
    Raises:
      InputError: as `find_files`.
    """
    notes = (unread_message, _tables, _namesakes)
    return [note for look in notes if (note := look(declaration, data_dir))]


def _namesakes(declaration: Declaration, data_dir: str) -> str:
    """What is declared and both the log and a lookup have: it is read from the log."""
    if not declaration.lookups:
        return ""
    root = folder_of(data_dir)

    def first(section: Impressions | Lookup) -> DataFile:
        return inspect(files_of(root, section)[0], root, section)

    declared = set(declaration.raw_columns()).intersection(first(declaration.impressions).columns)
    found = []
    for lookup in declaration.lookups:
        table = first(lookup)
        names = {lookup.prefix + name for name in table.columns if name != lookup.right_key}
        found += [f"{name} of {table.name}" for name in sorted(declared & names)]
    if not found:
        return ""
    shown = ", ".join(found[:3]) + (" ..." if len(found) > 3 else "")
    return (
        f"{shown}: the log has a column of that name, and it is the one read; a `prefix` of the lookup gives the "
        "table's a name of its own"
    )


def _tables(declaration: Declaration, data_dir: str) -> str:
    """What files of Delta, Hudi and Iceberg are read as."""
    root = folder_of(data_dir)
    sections: list[Impressions | Lookup | Events] = [
        declaration.impressions,
        *declaration.lookups,
        *declaration.events,
    ]
    folders = {
        folder
        for section in sections
        for pattern in section.files
        for path in matches(root, pattern)
        for folder in path.parents
        if folder.is_relative_to(root)
    }
    found = [
        f"{folder.name if folder == root else relative_name(folder, root)} is a {kind} table"
        for folder in sorted(folders)
        for mark, kind in _TABLES.items()
        if (folder / mark).exists()
    ]
    if not found:
        return ""
    return (
        f"{', '.join(found)}: its own log says which files count, and all are read here, with rows that were deleted "
        "or replaced since; write its rows to a folder of their own, and name that"
    )


def unread_files(declaration: Declaration, data_dir: str) -> list[str]:
    """Files below the folder that look like the log and that no pattern matches: tomorrow's, which nobody would read.

    A file looks like the log if its name differs only in dates and numbers, or if it has the same columns.

    Args:
      declaration: the data set; what its `impressions.ignore` matches is not named.
      data_dir: the folder.
    Returns:
      Names relative to the folder, in order.
    Raises:
      InputError: as `find_files`.
    """
    root = folder_of(data_dir)
    log = files_of(root, declaration.impressions)
    others: list[Lookup | Events] = [*declaration.lookups, *declaration.events]
    known = {
        path.resolve() for section in others for pattern in section.files for path in matches(root, pattern)
    }
    known.update(path.resolve() for path in log)
    for pattern in declaration.impressions.ignore:
        known.update(path.resolve() for path in matches(root, pattern))
    shapes = {shape(relative_name(path, root)) for path in log}
    first = inspect(log[0], root, declaration.impressions)
    unread, opened = [], 0
    for path in islice(below(root, any_text=True), _MOST_SEEN):
        if path.resolve() in known:
            continue
        name = relative_name(path, root)
        alike = shape(name) in shapes
        if not alike and opened < _MOST_OPENED:
            opened += 1
            alike = _has_columns(path, root, declaration.impressions, set(first.columns))
        if alike:
            unread.append(name)
    return unread


def unread_message(declaration: Declaration, data_dir: str) -> str:
    """What to tell the user about `unread_files`, with the remedy; empty where there are none."""
    unread = unread_files(declaration, data_dir)
    if not unread:
        return ""
    shown = ", ".join(unread[:3]) + (" ..." if len(unread) > 3 else "")
    files = "1 file looks" if len(unread) == 1 else f"{len(unread)} files look"
    return (
        f"{files} like the log and no pattern matches: {shown}; add a pattern to `impressions.files`, or name under "
        "`impressions.ignore` what is to stay unread"
    )


def _has_columns(path: Path, root: Path, log: Impressions, columns: set[str]) -> bool:
    if log.columns:  # no header says what they are
        return False
    try:
        return set(inspect(path, root, log).columns) == columns
    except InputError:
        return False
