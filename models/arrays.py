"""What an array is to types; and `.npz` files that hold no pickles: NumPy would write arrays of objects as such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def write_arrays(target: Path | IO[bytes], arrays: Mapping[str, Array], *, compressed: bool = False) -> None:
    """Writes an `.npz` that `numpy.load` reads with `allow_pickle=False`.

    Args:
      target: a file, or what is open for writing.
      arrays: by name; texts go through `pack_texts`.
      compressed: whether to compress.

    Raises:
      TypeError: an array holds objects.
    """
    objects = [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]
    if objects:
        raise TypeError(f"arrays of objects would be pickled: {', '.join(objects)}")
    # NumPy 2 counts an option among the names that its types allow.
    named: Any = dict(arrays)
    write = np.savez_compressed if compressed else np.savez
    write(target, **named)


def pack_texts(texts: Iterable[object]) -> tuple[Array, Array]:
    """Texts (bytes, or what is written as UTF-8) as arrays.

    Returns:
      Their bytes one after the other, uint8 (n,), and the length of each, int64 (texts,).
    """
    encoded = [text if isinstance(text, bytes) else str(text).encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.array([len(text) for text in encoded], np.int64)


def unpack_texts(content: Array, lengths: Array) -> list[bytes]:
    """What `pack_texts` was given, as bytes."""
    ends, joined = np.cumsum(lengths).tolist(), content.tobytes()
    return [joined[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
