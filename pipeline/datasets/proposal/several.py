"""What holds several things: columns with lists of what was shown, and files that stand for a domain each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from components.dataset.file_names import suffix_of
from pipeline.datasets.proposal.figures import mean
from pipeline.datasets.proposal.roles import Column

_LOOKED_AT = 1_000
_SEVERAL, _NEARLY_ALL = 0.5, 0.99
_FEWEST_IDS = 50
_IDS = r"^(?:[^\s,;|^]*\d[^\s,;|^]*[\s,;|^]+)+[^\s,;|^]*\d[^\s,;|^]*$"
_SHOWN, _SHOWN_NAMES = 3, 6
# Parts of a file's name that tell what a file is for, or which of several like it, not which domain it is of.
_NO_DOMAIN = re.compile(
    r"(?i)(?<![a-z])(?:train(?:ing)?|test|valid(?:ation)?|val|dev|eval|part|split|fold|old|new|sample|log|data|"
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*|mon|tue|wed|thu|fri|sat|sun)(?![a-z])"
)


def lists_of_ids(columns: Iterable[Column]) -> Iterator[str]:
    """Says of columns with several values in a row, as a page's items, how the log is to be written."""
    names = [column.name for column in columns if column.in_log and _holds_ids(column)]
    if names:
        shown = ", ".join(names[:_SHOWN_NAMES]) + (" ..." if len(names) > _SHOWN_NAMES else "")
        yield (
            f"\n{shown}: several values in a row: where these are what was shown or clicked, write a row for each, "
            "with a column of 0 and 1"
        )


def _holds_ids(column: Column) -> bool:
    values = column.values.column
    if column.values.kind == "list":
        lengths = values.drop_nulls().list.len()
        return not lengths.is_empty() and column.distinct >= _FEWEST_IDS and mean(lengths > 1) > _SEVERAL
    if column.values.kind != "string" or column.distinct < _FEWEST_IDS:
        return False
    texts = values.drop_nulls().head(_LOOKED_AT)
    several = texts.str.contains(r"\S[\s,;|^]+\S")
    return mean(several) > _SEVERAL and mean(texts.filter(several).str.contains(_IDS)) >= _NEARLY_ALL


def domains_of_files(folder: Path, paths: Sequence[Path]) -> str:
    """What tells files of a domain each apart, and how that becomes a column; empty where nothing does.

    >>> domains_of_files(Path("/d"), [Path("/d/shop_NL/train.csv"), Path("/d/shop_ES/train.csv")])
    'the files lie in shop_ES, shop_NL: if these are domains, move each file into a folder domain=shop_ES ..., \
whose name becomes a column'
    >>> domains_of_files(Path("/d"), [Path("/d/clicks-2026-03-01.csv"), Path("/d/clicks-2026-03-02.csv")])
    ''
    """
    parts = [path.relative_to(folder).parts for path in paths if folder in path.parents]
    if (
        len(parts) < 2
        or len({len(one) for one in parts}) > 1
        or any("=" in part for one in parts for part in one)
    ):
        return ""
    where = next(at for at in range(len(parts[0])) if len({one[at] for one in parts}) > 1)
    of_file = where == len(parts[0]) - 1
    names = sorted(
        {one[where].removesuffix(suffix_of(one[where])) if of_file else one[where] for one in parts}
    )
    letters = {re.sub(r"[\W\d_]", "", _NO_DOMAIN.sub("", name)) for name in names}
    # Hashes of parts have letters too.
    if (
        "" in letters
        or len(letters) < len(names)
        or any(re.search(r"[0-9a-f]{16}|[0-9a-f]{8}-", n) for n in names)
    ):
        return ""
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    what = "are called" if of_file else "lie in"
    return (
        f"the files {what} {shown}: if these are domains, move each file into a folder domain={names[0]} ..., whose "
        "name becomes a column"
    )
