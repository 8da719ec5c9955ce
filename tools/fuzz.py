"""Feeds a reader with what atheris makes, for so many inputs: `python -m tools.fuzz csv -runs=100000`.

A reader takes what it gets, or refuses it with an error of its own; whatever else it raises ends the run, and the input
is kept beside it. `make fuzz` brings atheris and tries all three. Options behind the name are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["components.dataset", "components.errors", "pipeline.client", "pipeline.serving", "ruamel"]
):
    from google.protobuf.message import DecodeError

    from components.dataset.blocks import read_all
    from components.dataset.files import find_files
    from components.dataset.loader import load_declaration
    from components.dataset.sections import Impressions
    from components.errors import InputError
    from pipeline.client import tensors
    from pipeline.client.messages import SERVING

_SCRATCH = Path(tempfile.mkdtemp())
_VALID = (
    "name: a\nimpressions: {files: [l.csv]}\nlabel: y\ndomain: d\ntimestamp: {column: t, unit: s}\nfeatures: "
)


def csv(data: bytes) -> None:
    """A log as text."""
    path = _SCRATCH / "log.csv"
    path.write_bytes(data)
    try:
        for file in find_files(str(_SCRATCH), Impressions(files=[path.name])):
            for block in read_all(file):
                assert len(block.frame) <= block.count
    except InputError:
        return


def declaration(data: bytes) -> None:
    """A declaration, whole or as the end of a right one."""
    path = _SCRATCH / "declared.yaml"
    path.write_bytes(data[1:] if data[:1] < b"\x80" else _VALID.encode() + data[1:])
    try:
        load_declaration(str(path))
    except InputError:
        return


def grpc(data: bytes) -> None:
    """A request of gRPC, as bytes or with a tensor of these parts."""
    if data[:1] < b"\x80":
        try:
            message = SERVING["PredictRequest"].FromString(data[1:])
        except DecodeError:
            return
    else:
        message, parts = SERVING["PredictRequest"](), atheris.FuzzedDataProvider(data[1:])
        tensor = message.inputs["x"]
        tensor.dtype = parts.ConsumeIntInRange(-1, 30)
        for _ in range(parts.ConsumeIntInRange(0, 10)):
            tensor.tensor_shape.dim.add().size = parts.ConsumeIntInRange(
                -2, 2 ** (1 + 61 * parts.ConsumeBool())
            )
        tensor.int64_val.extend(parts.ConsumeIntList(parts.ConsumeIntInRange(0, 5), 8))
        tensor.string_val.extend(parts.ConsumeBytes(4) for _ in range(parts.ConsumeIntInRange(0, 3)))
        tensor.tensor_content = parts.ConsumeBytes(parts.remaining_bytes())
    for tensor in message.inputs.values():
        try:
            tensors.to_array(tensor)
        except (ValueError, OverflowError):
            continue


TARGETS: dict[str, Callable[[bytes], None]] = {"csv": csv, "declaration": declaration, "grpc": grpc}

if __name__ == "__main__":
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()
