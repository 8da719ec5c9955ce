"""ML Metadata on PostgreSQL: texts with backslashes, and answers in order.

ML Metadata 1.16 quotes a text with `PQescapeLiteral`, cuts off the first and the last character and puts quotes around
the rest. A text with a backslash comes out of `PQescapeLiteral` with another beginning (` E'`), and the statement is
broken: "syntax error at or near ...". Every declaration in JSON has backslashes. So they are written as other
characters on their way to the server and read back on the way from it.

Its queries name no order: SQLite and MySQL answer by id, PostgreSQL puts a row that was updated last. TFX pairs such
answers with what it asked for, and takes one output of a cached component for another. So answers are put in order of
their ids. MySQL and SQLite need none of this.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

# A character for private use: no text of this project has it, and one that has comes back all the same.
_MARK = "\ue000"
_MARKED_MARK, _MARKED_BACKSLASH = f"{_MARK}m", f"{_MARK}b"


def marked(text: str) -> str:
    """The text without backslashes."""
    return text.replace(_MARK, _MARKED_MARK).replace("\\", _MARKED_BACKSLASH)


def unmarked(text: str) -> str:
    """The inverse of `marked`."""
    return text.replace(_MARKED_BACKSLASH, "\\").replace(_MARKED_MARK, _MARK)


def change_texts(message: Message, change: Any) -> None:
    """Replaces every text in a message, maps and what they hold included, by `change(text)`."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            _change_map(value, kind.fields_by_name["value"], change)
        elif kind is not None:
            for part in value if field.label == FieldDescriptor.LABEL_REPEATED else [value]:
                change_texts(part, change)
        elif field.type == FieldDescriptor.TYPE_STRING:
            if field.label == FieldDescriptor.LABEL_REPEATED:
                value[:] = [change(text) for text in value]
            else:
                setattr(message, field.name, change(value))


def _change_map(entries: Any, field: FieldDescriptor, change: Any) -> None:
    for key in list(entries):
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            change_texts(entries[key], change)
        elif field.type == FieldDescriptor.TYPE_STRING:
            entries[key] = change(entries[key])


def by_id(request: Message, response: Message) -> None:
    """Puts an answer in the order of ids, unless the question names an order."""
    if "options" in request.DESCRIPTOR.fields_by_name and request.HasField("options"):
        return
    for name in ("artifacts", "executions", "contexts"):
        if name in response.DESCRIPTOR.fields_by_name:
            found = getattr(response, name)
            ordered = sorted(found, key=lambda message: message.id)
            del found[:]
            found.extend(ordered)


class PostgresqlStore(metadata_store.MetadataStore):
    """A metadata store on PostgreSQL that keeps any text and answers in order."""

    def _call(self, method_name: str, request: Any, response: Any, extra_options: Any = None) -> Any:
        sent = type(request)()
        sent.CopyFrom(request)
        change_texts(sent, marked)
        result = super()._call(method_name, sent, response, extra_options)
        change_texts(response, unmarked)
        by_id(request, response)
        return result


class PostgresqlMetadata(metadata.Metadata):
    """TFX's handle of a metadata store, with `PostgresqlStore` as the store."""

    def __enter__(self) -> PostgresqlMetadata:
        self._store = PostgresqlStore(self._connection_config)
        self._users += 1
        return self


def open_metadata(connection: metadata_store_pb2.ConnectionConfig) -> metadata.Metadata:
    """TFX's handle of the metadata store behind a connection."""
    if connection.WhichOneof("config") == "postgresql":
        return PostgresqlMetadata(connection)
    return metadata.Metadata(connection)
