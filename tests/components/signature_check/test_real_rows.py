"""What a request says of a row is what its example says; where not, the feature is named."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.dataset.declaration import Declaration
from components.signature_check.example_request import example_request
from components.signature_check.real_rows import differing_readings, named_rows
from components.trainer.raw_inputs import RawInputs, request_features

DECLARATION = {
    "name": "small",
    "impressions": {"files": ["log.parquet"]},
    "label": "click",
    "domain": "tab",
    "timestamp": {"column": "ts", "unit": "s"},
    "features": {
        "tab": {"type": "string", "treatment": "vocabulary"},
        "genres": {"type": "string", "treatment": "vocabulary", "list": True, "max_length": 3},
        "codes": {"type": "int", "treatment": "vocabulary", "separator": ",", "max_length": 3},
    },
}


def example(genres: list[bytes], codes: list[int]) -> bytes:
    features = {
        "tab": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"home"])),
        "genres": tf.train.Feature(bytes_list=tf.train.BytesList(value=genres)),
        "codes": tf.train.Feature(int64_list=tf.train.Int64List(value=codes)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_readings() -> None:
    declaration = Declaration.model_validate(DECLARATION)
    spec = {name: tf.io.VarLenFeature(tf.string) for name in ("tab", "genres")}
    spec |= {name: tf.io.VarLenFeature(tf.int64) for name in ("codes", "local_time_ms")}
    inputs = RawInputs(declaration, spec)
    serialized = [example([b"sci-fi|action"], [7, 8]), example([b"a,b", b"c"], []), example([], [1])]
    named = named_rows(serialized, request_features(declaration))
    assert named["codes"].tolist() == [b"7\x1f8\x1f", b"", b"1\x1f"]
    assert differing_readings(inputs, serialized, named) == []
    named["codes"] = np.array([b"7,8", b"5", b"1"], object)
    assert differing_readings(inputs, serialized, named) == [
        "codes of row 2, b'5': [] in the example, [5] in a request"
    ]


def test_an_integer_of_minus_one_is_no_value_in_both() -> None:
    """Logs write -1, 0 and 1 for worse, equal and better, and -1 for nobody: a run of such a log is not refused."""
    document = {**DECLARATION, "features": dict(DECLARATION["features"])}  # type: ignore[call-overload]
    document["features"]["rate"] = {"type": "int", "treatment": "vocabulary"}
    declaration = Declaration.model_validate(document)
    spec = {name: tf.io.VarLenFeature(tf.string) for name in ("tab", "genres")}
    spec |= {name: tf.io.VarLenFeature(tf.int64) for name in ("codes", "rate", "local_time_ms")}
    inputs = RawInputs(declaration, spec)
    rows = []
    for rate in (-1, 0, 1):
        row = tf.train.Example.FromString(example([], [-1, 2]))
        row.features.feature["rate"].int64_list.value.append(rate)
        rows.append(row.SerializeToString())
    named = named_rows(rows, request_features(declaration))
    assert differing_readings(inputs, rows, named) == []
    named["rate"] = np.array([-1, 0, -1])
    assert differing_readings(inputs, rows, named) == [
        "rate of row 3, -1: [1] in the example, [] in a request"
    ]


def test_the_request_to_try_a_model_with_is_the_fullest_row_as_a_caller_writes_it() -> None:
    document = {**DECLARATION, "features": dict(DECLARATION["features"])}  # type: ignore[call-overload]
    document["features"]["price"] = {"type": "float", "treatment": "normalise"}
    declaration = Declaration.model_validate(document)
    full = tf.train.Example.FromString(example([b"sci-fi", b"action"], [7, 8]))
    full.features.feature["price"].float_list.value.append(0.4)
    rows = [example([], []), full.SerializeToString(), example([b"a"], [])]
    assert example_request(rows, declaration) == {
        "tab": "home",
        "genres": "sci-fi\x1faction\x1f",
        "codes": "7,8",
        "price": 0.4,
    }
