"""Message classes of a `.proto` file, without generated code.

Generated modules are bound to one version of the protobuf runtime, and two of them that define the same full
name cannot live in one process. Here a descriptor set that protoc made (`make protos`) gets a pool of its own: it
works with every runtime since protobuf 4.22 and beside TensorFlow's own generated modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


class ProtoFile:
    """The messages of one `.proto` file.

    Args:
      path: the `.proto` file; its descriptor set lies beside it as `.binpb`.

    Attributes:
      package: its package.
      services: `{service: {method: (request message name, response message name)}}`.
    """

    def __init__(self, path: Path) -> None:
        [self.descriptor] = descriptor_pb2.FileDescriptorSet.FromString(
            path.with_suffix(".binpb").read_bytes()
        ).file
        self.package = self.descriptor.package
        pool = descriptor_pool.DescriptorPool()
        pool.Add(self.descriptor)
        self._messages = {
            message.name: message_factory.GetMessageClass(
                pool.FindMessageTypeByName(f"{self.package}.{message.name}")
            )
            for message in self.descriptor.message_type
        }
        self.services = {
            service.name: {
                method.name: (method.input_type.rpartition(".")[2], method.output_type.rpartition(".")[2])
                for method in service.method
            }
            for service in self.descriptor.service
        }

    def __getitem__(self, name: str) -> Any:
        """The message class of that name."""
        return self._messages[name]
