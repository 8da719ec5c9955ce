"""Message classes from the text of a `.proto` file, without generated code.

Generated modules are bound to one version of the protobuf runtime, and two of them that define the same full
name cannot live in one process. Here a file's text is turned into descriptors at run time, in a pool of its own:
it works with every runtime since protobuf 4.22 and beside TensorFlow's own generated modules.

The grammar is the part of proto3 that such files use: messages, nested messages, `repeated`, `map`, `oneof`,
scalar fields and unary services.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "uint32": _Field.TYPE_UINT32,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
_TOKEN = re.compile(r'"[^"]*"|[A-Za-z_][\w.]*|\d+|[{}()<>=;,]')
_COMMENT = re.compile(r"//[^\n]*")


class ProtoFile:
    """The messages of one `.proto` file.

    Args:
      path: the file.

    Attributes:
      package: its package.
      services: `{service: {method: (request message name, response message name)}}`.

    Raises:
      ValueError: the file has something that this grammar does not know.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = _Parser(path).parse()
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
                method.name: (
                    method.input_type.rpartition(".")[2],
                    method.output_type.rpartition(".")[2],
                )
                for method in service.method
            }
            for service in self.descriptor.service
        }

    def __getitem__(self, name: str) -> Any:
        """The message class of that name."""
        return self._messages[name]


class _Parser:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: Iterator[str] = iter(_TOKEN.findall(_COMMENT.sub("", path.read_text("utf-8"))))
        self._file = descriptor_pb2.FileDescriptorProto(name=path.name, syntax="proto3")

    def parse(self) -> descriptor_pb2.FileDescriptorProto:
        for token in self._tokens:
            if token == "syntax":
                self._expect("=", '"proto3"', ";")
            elif token == "package":
                self._file.package = next(self._tokens)
                self._expect(";")
            elif token == "message":
                self._message(self._file.message_type.add(), ())
            elif token == "service":
                self._service(self._file.service.add())
            else:
                raise self._unknown(token)
        _resolve(self._file)
        return self._file

    def _unknown(self, token: str) -> ValueError:
        return ValueError(f"{self._path}: {token!r} is not understood here")

    def _expect(self, *tokens: str) -> None:
        for wanted in tokens:
            token = next(self._tokens, "the end of the file")
            if token != wanted:
                raise ValueError(f"{self._path}: expected {wanted!r}, found {token!r}")

    def _message(self, message: descriptor_pb2.DescriptorProto, outer: tuple[str, ...]) -> None:
        message.name = next(self._tokens)
        place = (*outer, message.name)
        self._expect("{")
        while (token := next(self._tokens)) != "}":
            if token == "message":
                self._message(message.nested_type.add(), place)
            elif token == "oneof":
                message.oneof_decl.add().name = next(self._tokens)
                self._expect("{")
                while (kind := next(self._tokens)) != "}":
                    self._field(message, kind).oneof_index = len(message.oneof_decl) - 1
            elif token == "map":
                self._map(message, place)
            elif token == "repeated":
                self._field(message, next(self._tokens)).label = _Field.LABEL_REPEATED
            else:
                self._field(message, token)

    def _field(
        self, message: descriptor_pb2.DescriptorProto, kind: str
    ) -> descriptor_pb2.FieldDescriptorProto:
        field = message.field.add(label=_Field.LABEL_OPTIONAL, name=next(self._tokens))
        self._expect("=")
        field.number = int(next(self._tokens))
        self._expect(";")
        _set_type(field, kind)
        return field

    def _map(self, message: descriptor_pb2.DescriptorProto, place: tuple[str, ...]) -> None:
        self._expect("<")
        key = next(self._tokens)
        self._expect(",")
        value = next(self._tokens)
        self._expect(">")
        field = self._field(message, "bytes")
        entry = message.nested_type.add()
        entry.name = "".join(part.capitalize() for part in field.name.split("_")) + "Entry"
        entry.options.map_entry = True
        for number, (name, kind) in enumerate((("key", key), ("value", value)), 1):
            _set_type(entry.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL), kind)
        field.label = _Field.LABEL_REPEATED
        field.type = _Field.TYPE_MESSAGE
        field.type_name = "." + ".".join((self._file.package, *place, entry.name))

    def _service(self, service: descriptor_pb2.ServiceDescriptorProto) -> None:
        service.name = next(self._tokens)
        self._expect("{")
        while (token := next(self._tokens)) != "}":
            if token != "rpc":
                raise self._unknown(token)
            method = service.method.add(name=next(self._tokens))
            self._expect("(")
            method.input_type = f".{self._file.package}.{next(self._tokens)}"
            self._expect(")", "returns", "(")
            method.output_type = f".{self._file.package}.{next(self._tokens)}"
            self._expect(")", ";")


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = kind


def _resolve(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Makes the names of message types absolute: nested in the message, else of the file."""

    def visit(message: descriptor_pb2.DescriptorProto, full_name: str) -> None:
        nested = {inner.name for inner in message.nested_type}
        for field in message.field:
            if field.type == _Field.TYPE_MESSAGE and not field.type_name.startswith("."):
                scope = full_name if field.type_name in nested else f".{file.package}"
                field.type_name = f"{scope}.{field.type_name}"
        for inner in message.nested_type:
            visit(inner, f"{full_name}.{inner.name}")

    for message in file.message_type:
        visit(message, f".{file.package}.{message.name}")
