"""What the values of a column are: numbers, texts, times, lists; decided on a sample, with ExampleGen's own casts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from components.dataset.names import DateOrder, Written
from components.dataset.values import MISSING_NUMBERS, Typed, to_type
from components.dataset.written import MARKS, NUMBER
from pipeline.datasets.proposal.figures import highest, lowest, mean
from pipeline.datasets.proposal.packed import packed

Kind = Literal["empty", "int", "float", "string", "time", "list", "unusable"]

_SEPARATORS = ("|", ";", "^", ",", " ")
_LIST_SHARE = 0.02
_LONGEST_PART = 30
_LEADING_ZERO = r"^\s*0\d"
# More digits than a 64-bit int is sure to hold: a name, not a quantity. Nanoseconds since 1970 fit.
_TOO_LONG = r"^\s*(?:-\d{19,}|\d{20,}|[05-9]\d{18,})\s*$"
_BEYOND_INT = 2**63
_PLAIN_NUMBER = r"^-?\d+(\.\d+)?$"
_DECIMAL_COMMA = r"^-?(\d+|\d{1,3}([.'\u2019 \u00a0\u202f]\d{3})+),\d+$"
_THOUSANDS = r"^-?([1-9]\d{0,2}(,\d{3})+|\d{1,3}(,\d{3})+\.\d+)$"
_FEWEST_NUMBERS = 0.2
_LOOKED_AT = 200
_MOST_STRAYS = 0.05
_MOSTLY = 0.5
_FEW_WORDS = 3
_NEARLY_ALL = 0.99
_STRAY = 0.005
_YEAR_LAST: tuple[DateOrder, ...] = ("mdy", "dmy")
_BRACKETS = r"^\s*[\[({].*[\])}]\s*$"


@dataclass(frozen=True)
class Values:
    """A column's values, cast to what they are.

    Attributes:
      kind: what they are; `unusable`: something that the reader cannot use as it is.
      column: int, float, string or list values; a list of int or string.
      item: the type of a list's values.
      separator: what separates a list's values in a text; `None` for Parquet's own lists.
      max_length: values of a list that nineteen of twenty rows do not exceed.
      present: share of rows with a value.
      why: what led to the kind, for a comment.
      written: how the texts of numbers are written.
    """

    kind: Kind
    column: pl.Series
    item: Literal["int", "string"] = "string"
    separator: str | None = None
    max_length: int = 1
    present: float = 0.0
    why: str = ""
    written: Written = "plain"


def values_of(column: pl.Series) -> Values:
    """Looks at a column as it is written."""
    text_like = column.dtype == pl.String or column.dtype == pl.List(pl.String)
    objects = isinstance(column.dtype, pl.Struct) or (
        isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.Struct)
    )
    why = packed(column) if text_like or objects else None
    if why is not None:
        return Values("unusable", column, present=_share(column.is_not_null()), why=f"it holds {why}")
    if isinstance(column.dtype, pl.List):
        return _parquet_list(column)
    if column.dtype.is_nested() or column.dtype in (pl.Time, pl.Duration, pl.Object):
        why = f"of Parquet's type {column.dtype}"
        if column.dtype == pl.Duration:
            why += ": as a time, add the moment that it counts from; as a length, write it as a number"
        return Values("unusable", column, why=why)
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return _dates(column, "iso", "of Parquet's time type")
    if column.dtype == pl.Boolean:
        return Values(
            "int", column.cast(pl.Int64), present=_share(column.is_not_null()), why="true and false"
        )
    if column.dtype == pl.UInt64 and (column >= _BEYOND_INT).any():
        return _of_text(column.cast(pl.String))
    if column.dtype.is_numeric():
        kind: Literal["int", "float"] = "int" if not column.dtype.is_float() else _whole(column)
        typed = to_type(column, kind).values
        return Values(kind, typed, present=_share(typed.is_not_null()))
    return _of_text(column.cast(pl.String))


def _whole(column: pl.Series) -> Literal["int", "float"]:
    return "float" if to_type(column, "int").bad.any() else "int"


def _of_text(column: pl.Series) -> Values:
    stripped = column.str.strip_chars()
    lower = stripped.str.to_lowercase()
    missing = (lower.is_in(MISSING_NUMBERS) | stripped.is_null()).fill_null(True)
    given = stripped.filter(~missing)
    if given.is_empty():
        return Values("empty", column, why="no values")
    code = given.str.contains(_LEADING_ZERO).any() or given.str.contains(_TOO_LONG).any()
    if not code:
        for kind in ("int", "float"):
            typed = to_type(column, kind)
            if not typed.bad.any():
                return Values(kind, typed.values, present=_share(typed.values.is_not_null()))
    text = to_type(column, "string").values
    present = _share(text.is_not_null())
    order = written_unit(given)
    if order is not None:
        return _dates(text, order, "dates or times as text")
    found = None if code else _as_written(column, given)
    if found is not None:
        return found
    return _list_of_text(text, present) or Values("string", text, present=present)


def as_stated(column: pl.Series, stated: str) -> Values:
    """A column whose header states its type, as RecBole's do: token, token_seq, float or float_seq."""
    found = values_of(column)
    if stated in ("token", "float"):
        return found
    text = column.cast(pl.String)
    if stated == "float_seq":
        present = _share(text.is_not_null())
        return Values(
            "unusable", text, present=present, why="lists of numbers: only ints and texts can be used"
        )
    return _as_list(text, " ", _share(to_type(text, "string").values.is_not_null()))


def _as_list(text: pl.Series, separator: str, present: float) -> Values:
    parts = text.drop_nulls().str.split(separator)
    flat = parts.explode().str.strip_chars()
    flat = flat.filter(flat != "")
    item: Literal["int", "string"] = "string" if to_type(flat, "int").bad.any() else "int"
    lengths = parts.list.len().to_numpy()
    length = int(min(10, max(2, np.quantile(lengths, 0.95) if len(lengths) else 2)))
    share = mean(text.str.contains(separator, literal=True))
    why = f"{share:.0%} of the rows have several values, separated by {separator!r}; {flat.n_unique()} distinct ones"
    return Values("list", to_type(text, item, separator).values, item, separator, length, present, why)


def written_unit(column: pl.Series) -> DateOrder | None:
    """How texts (or Parquet's own times) are dates; `None` where they are none.

    Where day and month may be either, the order that makes the shorter log is right: the other one spreads a week over
    a year.
    """
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return "iso"
    given = column.drop_nulls().cast(pl.String)
    # Most texts are spared the patterns of all dates.
    if mean(given.str.contains(r"\d")) < _FEWEST_NUMBERS:
        return None
    if _are_dates(to_type(given, "float", written="iso")):
        return "iso"
    spans: list[tuple[float, DateOrder]] = []
    for order in _YEAR_LAST:
        read = to_type(given, "float", written=order)
        if _are_dates(read):
            spans.append((highest(read.values) - lowest(read.values), order))
    return min(spans, key=lambda found: found[0])[1] if spans else None


def _dates(column: pl.Series, order: DateOrder, why: str) -> Values:
    # `NaT` and `0000-00-00` are no dates.
    known = to_type(column, "float", written=order).values.is_not_null()
    dates = column.zip_with(known, pl.Series([None], dtype=column.dtype))
    return Values("time", dates, present=_share(known), why=why)


def _are_dates(read: Typed) -> bool:
    return mean(read.bad) <= _STRAY and mean(read.values.is_not_null()) >= _FEWEST_NUMBERS


def _as_written(column: pl.Series, given: pl.Series) -> Values | None:
    """Numbers with a currency, a per cent sign, thousands apart, a decimal comma or marks for nothing."""
    marks = given.str.to_lowercase().is_in(MARKS)
    # A look at the first spares most columns the reading of all.
    if mean(given.head(_LOOKED_AT).str.contains(NUMBER) | marks.head(_LOOKED_AT)) < _FEWEST_NUMBERS:
        return None
    commas = given.str.contains(",", literal=True).any()
    if commas and not given.str.contains(r"[^\d.,\s+-]").any() and not _has_commas(given):
        return None
    readings: tuple[Written, ...] = ("point", "comma")
    read = {written: to_type(column, "float", written=written) for written in readings}
    written = min(readings, key=lambda reading: mean(read[reading].bad))
    numbers = read[written].values.is_not_null()
    # Of the rows that hold something: few may.
    bad, known = (float(found.sum()) / len(given) for found in (read[written].bad, numbers))
    # Codes may look like numbers in part. What most rows write with a currency, beside a word or two, are amounts.
    strays = to_type(given, "float", written=written).bad
    told = given.filter(~strays)
    amounts = mean(~(told.str.contains(_PLAIN_NUMBER) | told.str.to_lowercase().is_in(MARKS)))
    amounts_and_words = min(amounts, known) >= _MOSTLY and given.filter(strays).n_unique() <= _FEW_WORDS
    if (bad > _MOST_STRAYS and not amounts_and_words) or known < _FEWEST_NUMBERS:
        return None
    dressed = told.filter(~told.str.contains(_PLAIN_NUMBER)).unique(maintain_order=True).head(3)
    why = f"numbers written as {', '.join(repr(str(text)) for text in dressed)}"
    if bad > _STRAY:
        stray = column.filter(read[written].bad).first()
        remedy = "correct these or leave them empty, or write all with a decimal point and nothing else"
        why += f", but for {bad:.1%} of the rows, such as {str(stray)!r}: {remedy}"
        return Values("unusable", column, present=_share(column.is_not_null()), why=why)
    why += f", read with a decimal {written}"
    return Values("float", read[written].values, present=_share(numbers), why=why, written=written)


def _has_commas(given: pl.Series) -> bool:
    """Whether these are numbers as 25,19 or 12,345.60, which a reader of lists would take for several values."""
    commas = given.str.contains(",", literal=True)
    numbers = given.filter(commas)
    if numbers.is_empty() or mean(commas | given.str.contains(_PLAIN_NUMBER)) < _NEARLY_ALL:
        return False
    if mean(numbers.str.contains(_THOUSANDS)) >= _NEARLY_ALL:
        # Lists of three-digit ids look alike, but begin with three digits too.
        return bool(numbers.str.contains(r"^-?\d{1,2},|\.").any())
    # Of a list of one or two ints, few rows have two.
    return mean(commas) > 0.5 and mean(numbers.str.contains(_DECIMAL_COMMA)) >= _NEARLY_ALL


def _list_of_text(text: pl.Series, present: float) -> Values | None:
    given = text.drop_nulls()
    if mean(given.str.contains(_BRACKETS)) > 0.5:
        looks_json = mean(given.str.contains(r"^\s*\[.*\]\s*$")) > 0.5 and given.str.contains(r"['\"]").any()
        return (
            Values("unusable", text, present=present, why="lists in brackets; write them as a|b to use them")
            if looks_json
            else None
        )
    wholes = given.n_unique()
    for separator in _SEPARATORS:
        share = mean(given.str.contains(separator, literal=True))
        if share < _LIST_SHARE:
            continue
        parts = given.str.split(separator)
        flat = parts.explode().str.strip_chars()
        flat = flat.filter(flat != "")
        distinct = flat.n_unique()
        lengths = parts.list.len().to_numpy()
        short = mean(flat.str.len_chars()) <= _LONGEST_PART
        strict = separator in (",", " ")
        if not short or distinct > wholes or (strict and (wholes < 10 or _recombined(parts) < 0.5)):
            continue
        if separator == " " and (lengths.mean() < 2 or distinct > wholes / 3):
            continue
        return _as_list(text, separator, present)
    return None


def _recombined(parts: pl.Series) -> float:
    """Share of the parts that occur in several combinations: those of a list do, New York in `New York, USA` not."""
    wholes = parts.unique()
    pairs = pl.DataFrame({"whole": pl.int_range(len(wholes), eager=True), "part": wholes}).explode("part")
    several = (
        pairs.with_columns(pl.col("part").str.strip_chars()).group_by("part").agg(pl.col("whole").n_unique())
    )
    return mean(several["whole"] > 1)


def _parquet_list(column: pl.Series) -> Values:
    inner = column.dtype.inner  # type: ignore[attr-defined]
    if inner.is_float() or inner.is_nested():
        present = _share((column.list.len() > 0).fill_null(False))
        return Values(
            "unusable", column, present=present, why=f"lists of {inner}: only ints and texts can be used"
        )
    item: Literal["int", "string"] = "int" if inner.is_integer() else "string"
    texts = column.explode().drop_nulls() if inner == pl.String else None
    if texts is not None and len(texts) and not texts.str.contains(_LEADING_ZERO).any():
        item = "string" if to_type(texts, "int").bad.any() else "int"
    typed = to_type(column, item).values
    lengths = column.list.len().fill_null(0).to_numpy()
    length = int(min(10, max(2, np.quantile(lengths, 0.95) if len(lengths) else 2)))
    distinct = column.explode().n_unique()
    why = f"lists of {item}; {distinct} distinct values"
    return Values("list", typed, item, None, length, _share(typed.is_not_null()), why)


def _share(mask: pl.Series) -> float:
    return mean(mask)
