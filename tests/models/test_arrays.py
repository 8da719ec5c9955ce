"""Arrays are written without pickles, and texts come back as they were, in the process that checks models too."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.signature_check.fresh_process import read_requests
from models.arrays import pack_texts, unpack_texts, write_arrays


@given(st.lists(st.binary(max_size=4) | st.sampled_from([b"", b"\0", b"a\0"])))
def test_texts(texts: list[bytes]) -> None:
    assert unpack_texts(*pack_texts(texts)) == texts


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="names"):
        write_arrays(io.BytesIO(), {"names": np.array(["a", b"b"], object)})


def test_requests(tmp_path: Path) -> None:
    path = tmp_path / "requests.npz"
    text, length = pack_texts([b"a\0", b"", b"c"])
    write_arrays(path, {"text.serialized": text, "length.serialized": length, "named.age": np.arange(3)})
    found = read_requests(str(path))
    assert found["serialized"].tolist() == [b"a\0", b"", b"c"]
    assert found["named.age"].tolist() == [0, 1, 2]
    assert found.keys() == {"serialized", "named.age"}
