"""Values that are alike but for case or spaces: clicks that count as none, a domain that is taken for two."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import polars as pl

from components.dataset.declaration import Declaration

_SHOWN = 3
# Of a label with more texts than these none is meant for another.
_MOST_TEXTS = 1_000


def plain(text: str) -> str:
    """A text without what spellings differ in.

    >>> plain(" Such Ergebnis") == plain("suchergebnis")
    True
    """
    return "".join(text.casefold().split())


def other_spellings(label: pl.Series, known: Collection[str]) -> dict[str, int]:
    """Rows by text, of those texts that are a known one but for case or spaces.

    Args:
      label: (rows,), of any type.
      known: texts without spaces around them, that count as a click.
    """
    text = label.cast(pl.String).str.strip_chars()
    counted = text.filter(text.is_not_null() & ~text.is_in(list(known))).value_counts()
    if len(counted) > _MOST_TEXTS:
        return {}
    meant = {plain(one) for one in known}
    return {text: rows for text, rows in counted.iter_rows() if plain(text) in meant}


def label_doubts(declaration: Declaration, spelled: Mapping[str, int]) -> Iterator[str]:
    """One sentence for each text of the label that is a click but for its spelling.

    Args:
      declaration: with `positive.one_of`, where there are any such.
      spelled: their rows, by text.
    """
    known = [] if declaration.positive is None else [one.strip() for one in declaration.positive.one_of or []]
    for text, rows in sorted(spelled.items(), key=lambda one: -one[1])[:_SHOWN]:
        meant = next(one for one in known if plain(one) == plain(text))
        yield (
            f"{declaration.label} is {text!r} in {rows:,} rows, as {meant!r} but for case or spaces, and counts as 0: "
            f"add it to positive.one_of if it is a click, {[*known, text]}, or mend these files"
        )


def domain_doubts(domain: str, rows: Mapping[str, int]) -> Iterator[str]:
    """One sentence for each domain that has others alike but for case or spaces.

    Args:
      domain: the column.
      rows: by the domain's value.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(rows, key=lambda name: -rows[name]):
        alike.setdefault(plain(name), []).append(name)
    for names in [found for found in alike.values() if len(found) > 1][:_SHOWN]:
        shown = " and ".join(f"{name!r} in {rows[name]:,} rows" for name in names[: _SHOWN + 1])
        yield (
            f"{domain} is {shown}, alike but for case or spaces: each is trained and served as a domain of its own; "
            "if they are one, mend the files"
        )
