"""Whatever bytes a file or a message has, its reader takes them or says what is wrong: nothing else is raised."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.blocks import read_all
from components.dataset.files import find_files
from components.dataset.sections import Impressions
from components.errors import InputError
from pipeline.client import tensors
from pipeline.client.messages import SERVING
from pipeline.predict.rows import Source
from pipeline.serving.errors import RequestError
from pipeline.serving.json_examples import example_request
from pipeline.serving.json_tensors import is_row_format, parse_body, predict_inputs
from pipeline.serving.saved_model import Port, ServedSignature

SIGNATURE = ServedSignature(
    "serving_default",
    (Port("user", "u:0", 9, (-1,)), Port("price", "p:0", 1, (-1,)), Port("tag", "t:0", 7, (-1,))),
    (Port("y", "y:0", 1, (-1,)),),
    {"price": np.full(1, np.nan, np.float32), "tag": np.array([b""], object)},
)
CELLS = st.sampled_from(
    ["a", "1", '"', '""', ",", ";", "\n", "\r", "\r\n", "\t", "\0", "\ufeff", "é", "=", "'", "\\", " "]
)
TEXTS = st.lists(CELLS, max_size=80).map("".join).map(str.encode)
BYTES = st.one_of(st.binary(max_size=200), TEXTS)


def read_as_log(folder: Path, name: str) -> None:
    for file in find_files(str(folder), Impressions(files=[name])):
        for block in read_all(file):
            assert len(block.frame) + len(block.bad) <= max(block.count, len(block.frame))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
@given(content=BYTES, header=st.booleans(), packed=st.booleans())
@settings(max_examples=60)
def test_csv_of_a_log(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes, header: bool, packed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"log{suffix}"
    content = b"a,b\n" + content if header else content
    path.write_bytes(gzip.compress(content) if packed and suffix.endswith(".gz") else content)
    try:
        read_as_log(folder, path.name)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".json", ".jsonl", ".parquet"])
@given(content=BYTES, packed=st.booleans())
@settings(max_examples=60)
def test_files_to_predict(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes, packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"rows{suffix}"
    path.write_bytes(gzip.compress(content) if packed and suffix.endswith(".gz") else content)
    try:
        for chunk in Source(path).chunks(7):
            assert len(chunk.rows) == len(chunk.places)
    except InputError as error:
        assert str(path) in str(error)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["user", "price", "tag", "b64", "instances", "inputs", "examples"]), inner
        ),
    ),
    max_leaves=20,
)


@given(document=JSON, tail=st.binary(max_size=3))
def test_bodies_of_requests(document: Any, tail: bytes) -> None:
    for key in ("inputs", "instances", "examples"):
        body = json.dumps({key: document}).encode() + tail
        try:
            found = parse_body(body)
            is_row_format(found)
            for array in predict_inputs(found, SIGNATURE).values():
                assert isinstance(array, np.ndarray)
        except RequestError as error:
            assert error.message
        try:
            example_request(body)
        except RequestError as error:
            assert error.message


@given(st.binary(max_size=300))
def test_bytes_that_are_no_message(data: bytes) -> None:
    for kind in (
        "PredictRequest",
        "ClassificationRequest",
        "GetModelMetadataRequest",
        "GetModelStatusRequest",
    ):
        try:
            message = SERVING[kind].FromString(data)
        except DecodeError:
            continue
        for tensor in message.inputs.values() if kind == "PredictRequest" else ():
            _decode(tensor)


@given(
    kind=st.integers(-1, 30),
    sizes=st.lists(st.integers(-3, 2**63 - 1) | st.integers(0, 4), max_size=10),
    content=st.binary(max_size=40),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    strings=st.lists(st.binary(max_size=4), max_size=5),
)
def test_tensors(
    kind: int, sizes: list[int], content: bytes, numbers: list[int], strings: list[bytes]
) -> None:
    tensor = SERVING["PredictRequest"]().inputs["x"]
    tensor.dtype = kind
    for size in sizes:
        tensor.tensor_shape.dim.add().size = size
    tensor.tensor_content = content
    tensor.int64_val.extend(numbers)
    tensor.string_val.extend(strings)
    array = _decode(tensor)
    if array is not None:
        assert list(array.shape) == sizes


def _decode(tensor: Any) -> np.ndarray | None:
    try:
        return tensors.to_array(tensor)
    except (ValueError, OverflowError):
        return None
