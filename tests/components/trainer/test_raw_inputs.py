"""Requests become what the Transform graph takes, whichever door they come through."""

from __future__ import annotations

import functools
from typing import Any

import polars as pl
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from components.dataset.declaration import Declaration
from components.dataset.input_names import LIST_SEPARATOR
from components.dataset.sections import ColumnType
from components.dataset.values import to_type
from components.trainer.raw_inputs import RawInputs, request_features

DECLARATION = {
    "name": "small",
    "impressions": {"files": ["log.csv"]},
    "label": "click",
    "domain": "tab",
    "user": "user_id",
    "item": "item_id",
    "timestamp": {"column": "ts", "unit": "s"},
    "columns": {"item_id": "string", "click": "int"},
    "behaviours": {"click": {"column": "click"}},
    "features": {
        "tab": {"type": "int", "treatment": "vocabulary"},
        "user_id": {"type": "int", "treatment": "vocabulary"},
        "city": {"type": "string", "treatment": "vocabulary"},
        "age": {"type": "float", "treatment": "normalise"},
        "tags": {"type": "string", "treatment": "vocabulary", "separator": ",", "max_length": 3},
    },
}


def raw_inputs() -> RawInputs:
    """What a model of `DECLARATION` is asked with."""
    spec: dict[str, Any] = {
        name: tf.io.VarLenFeature(dtype)
        for name, dtype in {
            "city": tf.string,
            "age": tf.float32,
            "tags": tf.string,
            "user_id": tf.int64,
            "item_id": tf.string,
        }.items()
    }
    spec["tab"] = tf.io.FixedLenFeature([1], tf.int64)
    spec["local_time_ms"] = tf.io.FixedLenFeature([1], tf.int64)
    return RawInputs(Declaration.model_validate(DECLARATION), spec)


@pytest.fixture
def inputs() -> RawInputs:
    return raw_inputs()


NAMED = {
    "tab": tf.constant([4, 1, 1], tf.int64),
    "user_id": tf.constant([7, -1, 9], tf.int64),
    "city": tf.constant(["Ulm", "", "Bonn"]),
    "age": tf.constant([31.0, float("nan"), 0.0]),
    "tags": tf.constant(["a, b", "", "c"]),
    "item_id": tf.constant(["x", "y", ""]),
}


def _example(**columns: object) -> bytes:
    features = {}
    for name, values in columns.items():
        if isinstance(values[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        elif isinstance(values[0], float):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[v.encode() for v in values])
            )
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _dense(value: tf.Tensor | tf.SparseTensor) -> list[Any]:
    if isinstance(value, tf.SparseTensor):
        default = "-" if value.dtype == tf.string else -7
        return tf.sparse.to_dense(value, default_value=tf.constant(default, value.dtype)).numpy().tolist()
    return value.numpy().tolist()


def test_missing_values_are_absent_and_lists_are_split(inputs: RawInputs) -> None:
    raw = inputs.from_named(NAMED)
    assert _dense(raw["tab"]) == [[4], [1], [1]]
    assert _dense(raw["user_id"]) == [[7], [-7], [9]]
    assert _dense(raw["city"]) == [[b"Ulm"], [b"-"], [b"Bonn"]]
    assert _dense(raw["age"]) == [[31.0], [-7.0], [0.0]]
    assert _dense(raw["tags"]) == [[b"a", b"b"], [b"-", b"-"], [b"c", b"-"]]
    assert _dense(raw["local_time_ms"]) == [[-1], [-1], [-1]]


def test_examples_give_the_same_inputs_as_named_features(inputs: RawInputs) -> None:
    serialized = tf.constant(
        [
            _example(tab=[4], user_id=[7], city=["Ulm"], age=[31.0], tags=["a", "b"], item_id=["x"]),
            _example(tab=[1], item_id=["y"]),
            _example(tab=[1], user_id=[9], city=["Bonn"], age=[0.0], tags=["c"]),
        ]
    )
    named, examples = inputs.from_named(NAMED), inputs.from_examples(serialized)
    assert named.keys() == examples.keys()
    for name in named:
        assert _dense(named[name]) == _dense(examples[name]), name


def test_a_required_feature_that_an_example_lacks_is_missing_not_an_error(inputs: RawInputs) -> None:
    assert _dense(inputs.from_examples(tf.constant([_example(user_id=[1])]))["tab"]) == [[-1]]


def test_the_domain_may_be_minus_one() -> None:
    spec = {name: tf.io.VarLenFeature(tf.int64) for name in ("tab", "user_id", "local_time_ms")}
    spec |= {name: tf.io.VarLenFeature(tf.string) for name in ("city", "tags", "item_id")}
    spec["age"] = tf.io.VarLenFeature(tf.float32)
    raw = RawInputs(Declaration.model_validate(DECLARATION), spec)
    minus = tf.constant([-1], tf.int64)
    named = raw.from_named({**NAMED, "tab": tf.constant([-1, 1, 4], tf.int64), "user_id": minus})
    assert _dense(named["tab"]) == [[-1], [1], [4]]
    assert tf.size(named["user_id"].values) == 0
    assert _dense(raw.from_examples(tf.constant([_example(tab=[-1])]))["tab"]) == [[-1]]


def test_one_value_holds_for_every_row(inputs: RawInputs) -> None:
    raw = inputs.from_named({**NAMED, "user_id": tf.constant([5], tf.int64)})
    assert _dense(raw["user_id"]) == [[5], [5], [5]]


def test_no_rows_are_no_rows(inputs: RawInputs) -> None:
    raw = inputs.from_named({name: value[:0] for name, value in NAMED.items()})
    assert raw["tab"].shape == (0, 1)
    assert raw["city"].dense_shape.numpy().tolist() == [0, 1]


def test_every_candidate_in_every_domain_is_a_row(inputs: RawInputs) -> None:
    named = {name: value[None] for name, value in NAMED.items()}
    request = {**named, "tab": tf.constant([[4, 2]], tf.int64), "user_id": tf.constant([[7]], tf.int64)}
    flat, shape = inputs.flat_ranking(request)
    raw = inputs.from_flat(flat)
    assert shape.numpy().tolist() == [1, 2, 3]
    assert _dense(raw["tab"]) == [[4]] * 3 + [[2]] * 3
    assert _dense(raw["user_id"]) == [[7]] * 6
    assert _dense(raw["item_id"]) == [[b"x"], [b"y"], [b"-"]] * 2
    assert _dense(raw["tags"]) == [[b"a", b"b"], [b"-", b"-"], [b"c", b"-"]] * 2
    assert _dense(raw["local_time_ms"]) == [[-1]] * 6


def test_a_wrong_number_of_values_names_the_input(inputs: RawInputs) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="input city has 2 values, expected 1 or 3"):
        inputs.from_named({**NAMED, "city": NAMED["city"][:2]})
    named = {name: value[None] for name, value in NAMED.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match="input city has 2 candidates, expected 1 or 3"):
        inputs.flat_ranking({**named, "city": named["city"][:, :2]})


def test_only_the_domain_has_to_be_there(inputs: RawInputs) -> None:
    assert [feature.name for feature in inputs.features if feature.is_domain] == ["tab"]


def _with_codes(kind: str, separator: str | None) -> RawInputs:
    split = {"list": True} if separator is None else {"separator": separator}
    codes = {"type": kind, "treatment": "vocabulary", "max_length": 3, **split}
    document = {**DECLARATION, "features": {**DECLARATION["features"], "codes": codes}}
    return RawInputs(
        Declaration.model_validate(document),
        {
            **{name: tf.io.VarLenFeature(tf.string) for name in ("city", "tags", "item_id")},
            "age": tf.io.VarLenFeature(tf.float32),
            "user_id": tf.io.VarLenFeature(tf.int64),
            "codes": tf.io.VarLenFeature(tf.int64 if kind == "int" else tf.string),
            "tab": tf.io.FixedLenFeature([1], tf.int64),
            "local_time_ms": tf.io.FixedLenFeature([1], tf.int64),
        },
    )


def test_a_text_in_a_list_of_ints_is_no_value() -> None:
    codes = tf.constant(["4|-12", "never seen|7", "99999999999999999999"])
    raw = _with_codes("int", "|").from_named({**NAMED, "codes": codes})
    assert _dense(raw["codes"]) == [[4, -12], [7, -7], [-7, -7]]


@given(
    st.lists(st.integers(-(2**64), 2**64), min_size=3, max_size=3), st.sampled_from(["", ".", ".0", ".00"])
)
@example([2**63 - 1, -(2**63), 2**63], ".0")
def test_ints_in_lists_are_read_as_logs_read_them(numbers: list[int], fraction: str) -> None:
    texts = [f"{number}{fraction}" for number in numbers]
    raw = _int_codes().from_named({**NAMED, "codes": tf.constant(texts)})
    in_logs = to_type(pl.Series(texts), "int", "|").values.to_list()
    served = [row[0] if row else -7 for row in _dense(raw["codes"])]
    assert served == [-7 if value is None else value[0] for value in in_logs]


@pytest.mark.parametrize("kind", ["int", "string"])
@pytest.mark.parametrize(
    "text", ["+5|6", "+-5|6", "5\u00a0|\u30006", "\u2003 5\u3000|6\u0085", "\x1f5\x1f6\u200b", "5 \u00a0 6|7"]
)
def test_signs_and_spaces_in_lists_are_read_as_logs_read_them(text: str, kind: ColumnType) -> None:
    raw = _with_codes(kind, "|").from_named({**NAMED, "codes": tf.constant([text, text, text])})
    [in_log] = to_type(pl.Series([text.replace(LIST_SEPARATOR, "|")]), kind, "|").values.to_list()
    assert _dense(raw["codes"])[0] == [v.encode() if isinstance(v, str) else v for v in in_log]


@functools.cache
def _int_codes() -> RawInputs:
    return _with_codes("int", "|")


@pytest.mark.parametrize("separator", [";", "|", "\\", "\\1", ", "])
def test_one_separator_holds_for_every_list(separator: str) -> None:
    codes = tf.constant([LIST_SEPARATOR.join(["a", "b"]), f"a{separator}b", "c"])
    raw = _with_codes("string", separator).from_named({**NAMED, "codes": codes})
    assert _dense(raw["codes"]) == [[b"a", b"b"], [b"a", b"b"], [b"c", b"-"]]


_HOSTILE = st.text(st.sampled_from("a|;, \\\n1.\u00a0é"), max_size=5)


@pytest.mark.parametrize("separator", [None, "|", ", "])
@given(st.lists(st.lists(_HOSTILE, max_size=3), min_size=1, max_size=4))
@example([["sci-fi|action"], ["drama"], ["a", "b"], []])
def test_a_list_stays_a_list_from_parquet_to_the_graph(separator: str | None, rows: list[list[str]]) -> None:
    """Log, example and request read alike, whatever the values hold; what could not be told apart is refused."""
    typed = to_type(pl.Series(rows, dtype=pl.List(pl.String)), "string", separator)
    kept = [[value.strip() for value in row if value.strip()] for row in rows]
    bad = [separator is not None and any(separator in value for value in row) for row in kept]
    assert typed.bad.to_list() == bad
    if any(bad):
        return
    assert [row or [] for row in typed.values.to_list()] == kept
    inputs = _with_lists(separator)
    text = ["".join(value + LIST_SEPARATOR for value in row) for row in kept]
    one = {name: value[:1] for name, value in NAMED.items()}
    served = inputs.from_named({**one, "codes": tf.constant(text)})["codes"]
    assert tf.RaggedTensor.from_sparse(served).to_list() == [
        [value.encode() for value in row] for row in kept
    ]


@functools.cache
def _with_lists(separator: str | None) -> RawInputs:
    return _with_codes("string", separator)


def test_the_character_between_values_is_in_none() -> None:
    typed = to_type(pl.Series([["a\x1fb"], ["a"]]), "string")
    assert (typed.bad.to_list(), typed.values.to_list()[1]) == ([True, False], ["a"])


def test_columns_that_are_no_identifiers_have_names_in_requests() -> None:
    features = {**DECLARATION["features"], "Price ($)": {"type": "float", "treatment": "normalise"}}
    declaration = Declaration.model_validate({**DECLARATION, "features": features})
    names = {feature.name: feature.input for feature in request_features(declaration)}
    assert names["Price ($)"] == "Price"
    assert names["user_id"] == "user_id"
    features["Price (€)"] = {"type": "float", "treatment": "normalise"}
    with pytest.raises(ValueError, match="would both be called Price in requests: rename one"):
        Declaration.model_validate({**DECLARATION, "features": features})
