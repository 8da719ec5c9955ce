"""The checked-in descriptor sets are what protoc makes of the `.proto` files beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from pipeline import client, serving

PROTOS = [*Path(client.__file__).parent.glob("*.proto"), *Path(serving.__file__).parent.glob("*.proto")]


@pytest.mark.parametrize("proto", PROTOS, ids=lambda proto: proto.name)
def test_descriptor_sets_are_up_to_date(proto: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.binpb"
    # In a process of its own, as `make protos`: beside TensorFlow 2.21 in one process protoc ends it.
    command = ["-m", "grpc_tools.protoc", f"-I{proto.parent}", f"--descriptor_set_out={made}", proto.name]
    subprocess.run([sys.executable, *command], check=True)
    kind = descriptor_pb2.FileDescriptorSet
    checked_in = kind.FromString(proto.with_suffix(".binpb").read_bytes())
    assert checked_in == kind.FromString(made.read_bytes()), "make protos remakes it"
