"""`docs/declaration.md`: every key of a declaration, from the models that validate it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from components.dataset.declaration import Declaration

INTRODUCTION = """\
# The declaration: every key

<!-- Made by `make docs` from the models that validate a declaration; edit those. -->

A data set is declared in one YAML file. `dfei dataset new` writes one from logs; [extend.md](extend.md) shows a small
one, and [`schemas/`](../schemas) holds those that come with the product. Unknown keys, wrong types and contradictions
are named with file and line. Every key can be set for one run by its dotted name: `--set split.eval_days=1`,
`--set model.layers=[64,32]`.

A schema (`.pbtxt`) beside the file adds what a column's values may be; without one a column is held against its
declared type.
"""


def declaration_reference() -> str:
    """The page as Markdown: a table of keys for each section, in the order in which they are first used."""
    sections = list(_sections(Declaration))
    parts = [INTRODUCTION]
    for name, model in sections:
        parts.append(f"## {name}\n\n{_purpose(model)}\n\n{_table(model)}\n")
    return "\n".join(parts)


def _sections(root: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The root, then every model that a field holds, breadth first, each once under its key's name."""
    seen, waiting = {root}, [("the file", root)]
    while waiting:
        name, model = waiting.pop(0)
        yield name, model
        for key, field in model.model_fields.items():
            for inner in _models(field.annotation):
                if inner not in seen:
                    seen.add(inner)
                    waiting.append((_title(key, inner), inner))


def _title(key: str, model: type[BaseModel]) -> str:
    """The key, except where several keys hold the same kind of thing."""
    return "threshold" if model.__name__ == "Threshold" else key


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _purpose(model: type[BaseModel]) -> str:
    """The class's docstring, without what it says of Python."""
    text = inspect.getdoc(model) or ""
    return text.partition("\nRaises:")[0].strip()


def _table(model: type[BaseModel]) -> str:
    lines = ["| key | what it takes | default | |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        if key == "source":
            continue
        cells = [f"`{key}`", _type(field.annotation), _default(field), _description(field)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _description(field: FieldInfo) -> str:
    limits = [
        f"{sign} {_plain(getattr(entry, name))}"
        for entry in field.metadata
        for name, sign in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
        if isinstance(getattr(entry, name, None), (int, float))
    ]
    text = " ".join((field.description or "").split())
    limit = f"({', '.join(limits)})" if limits else ""
    return " ".join(part for part in (text, limit) if part)


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _unset_left_out(value: Any) -> Any:
    """The value as a declaration would say it: what is not set is left out."""
    if isinstance(value, Mapping):
        return {
            key: entry.model_dump(exclude_none=True) if isinstance(entry, BaseModel) else entry
            for key, entry in value.items()
        }
    return value


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = _unset_left_out(field.get_default(call_default_factory=True))
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "its defaults"
    if value in (None, "", [], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


_WORDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "datetime": "date, or date and time",
}


def _type(annotation: Any) -> str:
    """ "list of text", "one of `a`, `b`", "[threshold](#threshold)"."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type(get_args(annotation)[0])
    if origin is Literal:
        values = [f"`{value}`" for value in get_args(annotation)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if origin in (Union, UnionType):
        kinds = [_type(argument) for argument in get_args(annotation) if argument is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if origin in (list, tuple):
        arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
        if origin is tuple and len(arguments) > 1:
            return f"[{', '.join(_type(argument) for argument in arguments)}]"
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        key, value = get_args(annotation)
        return f"{{{_type(key)}: {_type(value)}}}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{_anchor(annotation)}](#{re.sub(r'[^a-z_-]', '', _anchor(annotation))})"
    if annotation is typing.Any:
        return "anything"
    return _WORDS.get(getattr(annotation, "__name__", ""), str(annotation))


def _anchor(model: type[BaseModel]) -> str:
    return next(name for name, found in _sections(Declaration) if found is model)
