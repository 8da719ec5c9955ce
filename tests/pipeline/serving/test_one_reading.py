"""A value means the same wherever it is read: in a log, in what is scored, as a lookup's key, in the served graph."""

from __future__ import annotations

import datetime
import functools
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.dataset.json_lines import parse_json_lines
from components.dataset.names import Written
from components.dataset.sections import ColumnType
from components.dataset.values import to_type
from components.errors import InputError
from pipeline.client.client import TensorSpec
from pipeline.predict.columns import numbers, to_inputs, written_by_input
from pipeline.predict.joins import Join, Lookup, _keys
from pipeline.predict.rows import Chunk, Source
from tests.components.trainer.test_raw_inputs import NAMED, _dense, _with_codes

CODES: dict[ColumnType, int] = {"int": 9, "float": 1}
digits = st.text("0123456789", min_size=1, max_size=25)
before, after = st.sampled_from(["", " ", "\u00a0", "+", "-", "--"]), st.sampled_from(["", " ", "\u2003"])
ends = st.sampled_from(["", ".", ".0", ".00", ".5", "e3", "e-3", "_0", ",000", "\u0663"])
words = ["", "nan", "NaN", "-nan", "null", "None", "na", "N/A", "\\N", "inf", "-Infinity", "1e39", "1e400"]
hostile = st.one_of(
    st.text(max_size=8),
    st.text(" \t0123456789+-.,_eExXnaNA/\\", max_size=12),
    st.sampled_from(words),
    st.builds("{}{}{}{}".format, before, digits, ends, after),
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(repr),
)


@settings(max_examples=100, deadline=None)
@example(["1_000", "7.0", "9223372036854775807", "9223372036854775808", "9007199254740993.0", "1e3"])
@given(st.lists(hostile, min_size=1, max_size=6))
@pytest.mark.parametrize("kind", ["int", "float"])
def test_numbers_mean_the_same_to_training_predict_and_lookups(kind: ColumnType, texts: list[str]) -> None:
    trained = to_type(pl.Series(texts, dtype=pl.String), kind)
    missing = -1 if kind == "int" else np.nan
    for text, value, bad in zip(texts, trained.values, trained.bad, strict=True):
        chunk, specs = Chunk([{"x": text}], ["line 2"]), {"x": TensorSpec(CODES[kind], (-1,))}
        if bad:
            with pytest.raises(InputError, match=r"line 2.* column 'x': expected"):
                to_inputs(chunk, specs, "rows.csv")
            continue
        expected = np.array([missing if value is None else value], np.int64 if kind == "int" else np.float32)
        np.testing.assert_array_equal(to_inputs(chunk, specs, "rows.csv")["x"], expected)
    assert _keys(texts, kind).equals(trained.values)


parts = st.integers(0, 40).map(str) | st.sampled_from(
    ["0001", "0000", "1799", "1950", "2024", "2200", "9999", "03"]
)
dates = st.builds(
    "{}{}{}{}{}{}".format,
    parts,
    st.sampled_from("-/. "),
    parts,
    st.sampled_from("-/. "),
    parts,
    st.sampled_from(["", " ", " 12:30", "T24:00", " 11:59:59.999 pm", "T00:00:00Z", " 01:00+05:30"]),
)


@settings(max_examples=50, deadline=None)
@example(["$3.50", "1.234,50 €", "12,5%", "-", "3,5"])
@example(["2024-03-01", "01.03.2024", "20240301", "NaT", "0000-00-00", "31/12/1969 6 PM"])
@given(st.lists(hostile | dates, min_size=1, max_size=6))
@pytest.mark.parametrize("written", ["point", "comma", "iso", "dmy", "mdy"])
def test_writings_mean_the_same_to_training_and_predict(written: Written, texts: list[str]) -> None:
    trained = to_type(pl.Series(texts, dtype=pl.String), "float", written=written)
    for text, value, bad in zip(texts, trained.values, trained.bad, strict=True):
        chunk, specs = Chunk([{"x": text}], ["line 2"]), {"x": TensorSpec(CODES["float"], (-1,))}
        if bad:
            with pytest.raises(InputError, match=r"line 2.* column 'x': expected"):
                to_inputs(chunk, specs, "rows.csv", {"x": written})
            continue
        expected = np.array([np.nan if value is None else value], np.float32)
        np.testing.assert_array_equal(to_inputs(chunk, specs, "rows.csv", {"x": written})["x"], expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | st.dates(), min_size=1, max_size=4)
    | st.lists(st.none() | st.datetimes(), min_size=1, max_size=4)
    | st.lists(st.none() | st.datetimes(timezones=st.just(datetime.UTC)), min_size=1, max_size=4)
    | st.lists(st.none() | st.integers(18000101, 22000101), min_size=1, max_size=4)
)
def test_dates_of_parquet_mean_the_same_to_training_and_predict(values: list[Any]) -> None:
    trained = to_type(pl.Series(values), "float", written="iso")
    asked = numbers(values, "float", "iso")
    assert asked.bad.to_list() == trained.bad.to_list()
    np.testing.assert_array_equal(asked.values.cast(pl.Float32), trained.values.cast(pl.Float32))


def test_a_date_of_a_table_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user,since\n7,01.03.2024\n8,\n")
    specs = {"user": TensorSpec(CODES["int"], (-1,)), "since": TensorSpec(CODES["float"], (-1,))}
    written: dict[str, Written] = {"since": "dmy"}
    join = Join([[Lookup(tmp_path / "users.csv", "user", "user")]], specs, "rows.csv", written=written)
    chunk = join(Chunk([{"user": "7"}, {"user": "8"}], ["line 2", "line 3"]))
    read = to_inputs(chunk, specs, "rows.csv", written)
    np.testing.assert_array_equal(read["since"], np.array([19783, np.nan], np.float32))


def test_what_would_read_a_writing_is_said() -> None:
    chunk, specs = Chunk([{"x": "$3.50"}], ["line 2"]), {"x": TensorSpec(CODES["float"], (-1,))}
    with pytest.raises(InputError, match=r"got '\$3\.50'; --written x=point reads it"):
        to_inputs(chunk, specs, "rows.csv")
    for kind in CODES.values():
        chunk, specs = Chunk([{"x": "on request"}], ["line 2"]), {"x": TensorSpec(kind, (-1,))}
        with pytest.raises(InputError, match=r"rows.csv, line 2, .*'on request'; mend it, or leave it empty"):
            to_inputs(chunk, specs, "rows.csv")


def test_each_column_is_read_as_the_model_or_its_caller_says() -> None:
    specs = {name: TensorSpec(CODES["float"], (-1,)) for name in ("price", "km")}
    chunk = Chunk([{"price": "4,08 €", "km": "29.2"}, {"price": 53.5, "km": None}], ["line 2", "line 3"])
    for writings in (
        written_by_input([], specs, {"price": "comma"}),
        written_by_input(["price=comma"], specs, {}),
        written_by_input(["km=plain", "comma"], specs, {}),
    ):
        read = to_inputs(chunk, specs, "rows.csv", writings)
        np.testing.assert_allclose(read["price"], [4.08, 53.5], rtol=1e-6)
        np.testing.assert_allclose(read["km"], [29.2, np.nan], rtol=1e-6)
    with pytest.raises(
        InputError, match=r"column 'price'.*--written price=plain or --written price=point reads it"
    ):
        to_inputs(Chunk([{"price": "53.5"}], ["line 2"]), specs, "rows.csv", {"price": "comma"})
    for text, message in (
        ("preis=comma", "the floats are price, km"),
        ("price=dot", "expected plain, point, comma"),
    ):
        with pytest.raises(InputError, match=message):
            written_by_input([text], specs, {})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (7, "int", 7),
        (7.0, "int", 7),
        (True, "int", 1),
        (2**53 + 1, "int", 2**53 + 1),
        (10**400, "int", None),
        (7.5, "int", None),
        ([7], "int", None),
        (float("nan"), "int", -1),
        (10**400, "float", None),
        (0.1, "float", np.float32(0.1)),
        (1e39, "float", None),
        ({"a": 1}, "float", None),
    ],
)
def test_numbers_of_json_are_read_as_they_would_stand_in_a_log(
    value: Any, kind: ColumnType, expected: Any
) -> None:
    chunk, specs = (
        Chunk([{"x": 1}, {"x": value}], ["line 1", "line 2"]),
        {"x": TensorSpec(CODES[kind], (-1,))},
    )
    if expected is None:
        with pytest.raises(InputError, match="line 2, column 'x': expected"):
            to_inputs(chunk, specs, "rows.jsonl")
    else:
        assert to_inputs(chunk, specs, "rows.jsonl")["x"][1] == expected


_of_json = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@example(['{"Color:": " Blue"}', "1.10", "1e5", "true", '{"a": [1, 2.50, null, false]}', "7"])
@given(st.lists(_of_json.map(json.dumps), min_size=1, max_size=6))
def test_texts_of_json_are_read_as_training_reads_them(values: list[str]) -> None:
    lines = [f'{{"x": {value}}}' for value in values]
    trained = to_type(parse_json_lines("\n".join(lines).encode(), ("x",)).frame["x"], "string").values
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("\n".join(lines))
        [chunk] = Source(path).chunks(10)
    read = to_inputs(chunk, {"x": TensorSpec(7, (-1,))}, "rows.jsonl")["x"].tolist()
    assert read == [(value or "").encode() for value in trained]


@functools.cache
def _graph(kind: str = "int") -> Any:
    return _with_codes(kind, "|")


def _in_a_list(text: str) -> bool:
    """What one element of a list may be; an exponent of three digits is no way to write an id."""
    return (
        not {"|", "\x1f"} & set(text)
        and len(text.strip()) < 32
        and not re.search(r"[eE][+-]?0*[1-9]\d\d", text)
    )


@settings(max_examples=60, deadline=None)
@example(["1e3", "+.5E1", "25e-1"])
@example(["1e+16", "0e99", "9e18"])
@example(["1" + "0" * 20 + "e-20", ".0", "1e19"])
@given(st.lists(hostile.filter(_in_a_list), min_size=3, max_size=3))
def test_the_served_graph_reads_the_ints_of_lists_as_logs_are_read(texts: list[str]) -> None:
    in_logs = to_type(pl.Series(texts, dtype=pl.String), "int", "|").values.to_list()
    raw = _graph().from_named({**NAMED, "codes": tf.constant(texts)})
    served = [row[0] if row else -7 for row in _dense(raw["codes"])]
    assert served == [-7 if value is None else value[0] for value in in_logs]


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f"), max_size=9)


@settings(max_examples=60, deadline=None)
@example([" a | b|", "|", "\u00a0a\u2003||\x85b"])
@given(
    st.lists(
        st.one_of(
            hostile.filter(lambda text: "\x1f" not in text), _text, st.builds("{}|{}".format, _text, _text)
        ),
        min_size=3,
        max_size=3,
    )
)
def test_predict_and_the_served_graph_read_the_texts_of_lists_as_logs_are_read(texts: list[str]) -> None:
    in_logs = to_type(pl.Series(texts, dtype=pl.String), "string", "|").values.to_list()
    chunk = Chunk([{"codes": text} for text in texts], ["line 2", "line 3", "line 4"])
    sent = to_inputs(chunk, {"codes": TensorSpec(7, (-1,))}, "rows.csv")["codes"].tolist()
    raw = _graph("string").from_named({**NAMED, "codes": tf.constant(sent)})["codes"]
    served = [[value.decode() for value in row if value != b"-"] for row in _dense(raw)]
    assert served == [[text for text in row or [] if text != "-"] for row in in_logs]
