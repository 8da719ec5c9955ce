"""Reads a declaration from YAML: overrides applied, every error named with file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from components.dataset.consistency import InconsistencyError
from components.dataset.day_names import DAY_TOKEN
from components.dataset.declaration import SCHEMAS_DIR, Declaration
from components.dataset.memory_estimate import require_memory
from components.dataset.names import suggest
from components.dataset.overrides import apply_overrides
from components.dataset.yaml_limits import NO_YAML, read_text, require_modest
from components.errors import InputError

_SHOWN_ERRORS = 8
_SCALARS = ("str", "float", "int", "bool")


def dataset_names() -> list[str]:
    """The declarations that come with the project."""
    return sorted(path.stem for path in SCHEMAS_DIR.glob("*.yaml"))


def declaration_path(name_or_path: str) -> Path:
    """The YAML file of a dataset's name, or the path itself when it looks like one.

    Raises:
      InputError: there is no such name or file.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if not path.is_file():
            raise InputError(f"{name_or_path}: no such declaration file")
        return _shown(path)
    builtin = SCHEMAS_DIR / f"{name_or_path}.yaml"
    if not builtin.is_file():
        names = dataset_names()
        raise InputError(
            f"unknown dataset {name_or_path!r}.{suggest(name_or_path, names)}"
            f" Give one of {', '.join(names)}, or the path of a declaration (.yaml)."
        )
    return _shown(builtin)


def _shown(path: Path) -> Path:
    """Relative to the working directory when it lies below, as messages name it."""
    return path.resolve().relative_to(Path.cwd()) if path.resolve().is_relative_to(Path.cwd()) else path


def load_declaration(name_or_path: str, overrides: Sequence[str] = ()) -> Declaration:
    """Loads and validates a declaration.

    Args:
      name_or_path: the name of a dataset that comes with the project, or a YAML file.
      overrides: `a.b=value` texts, applied to the document before validation (see `apply_overrides`).
    Raises:
      InputError: the file cannot be read or is not valid; one `FILE:LINE: path: what` per problem.
    """
    path = declaration_path(name_or_path)
    document = _read(path)
    applied = apply_overrides(document, Declaration, overrides)
    plain = _plain(document)
    if "source" in plain:
        raise InputError(f"{path}:{_line(document, ('source',))}: source: unknown setting")
    builtin = path.resolve().parent == SCHEMAS_DIR.resolve()
    plain["source"] = path.name if builtin else str(path.resolve())
    try:
        declaration = Declaration.model_validate(plain)
    except ValidationError as error:
        raise InputError(_explain(error, path, document, applied)) from None
    require_memory(declaration)
    return declaration


def set_in(name_or_path: str) -> set[str]:
    """The dotted names of all that a declaration's file sets, blocks included.

    Raises:
      InputError: as `load_declaration`.
    """
    found: set[str] = set()

    def walk(node: Any, before: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                found.add(f"{before}{key}")
                walk(value, f"{before}{key}.")

    walk(_plain(_read(declaration_path(name_or_path))), "")
    return found


def _read(path: Path) -> CommentedMap:
    text = read_text(path)
    require_modest(text, str(path))
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        problem = str(error.problem).split(" with value")[0]
        raise InputError(f"{path}:{_mark_line(error)}: {problem}") from None
    except MarkedYAMLError as error:
        number = _mark_line(error)
        line = next(iter(text.splitlines()[number - 1 : number]), "")
        quotes = f"; a pattern with {DAY_TOKEN} stands in quotes" if DAY_TOKEN in line else ""
        raise InputError(f"{path}:{number}: not valid YAML: {error.problem}{quotes}") from None
    except (YAMLError, *NO_YAML) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(document, CommentedMap):
        raise InputError(f"{path}:1: expected a table of settings (name: value)")
    return document


def _mark_line(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


def _plain(node: Any) -> Any:
    """The document without ruamel's own types, so that it compares and serialises as plain Python."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return None if node is None else str(node)


def _explain(
    error: ValidationError, path: Path, document: CommentedMap, applied: Mapping[tuple[Any, ...], str]
) -> str:
    lines = []
    for item in error.errors():
        where = tuple(item["loc"])
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, InconsistencyError):
            where += cause.path
        where = _in_document(where, document)
        what = _what(item, cause)
        typed = next((text for p, text in applied.items() if p[: len(where)] == where[: len(p)]), None)
        place = f"{path}:{_line(document, where)}" if typed is None else f"{path}: {typed}"
        line = f"{place}: {'.'.join(map(str, where))}: {what}" if where else f"{place}: {what}"
        if line not in lines:
            lines.append(line)
    if len(lines) > _SHOWN_ERRORS:
        lines = [*lines[:_SHOWN_ERRORS], f"... and {len(lines) - _SHOWN_ERRORS} more"]
    return "\n".join(lines)


def _what(item: Any, cause: object) -> str:
    if isinstance(cause, Exception):
        return str(cause)
    if item["type"] == "extra_forbidden":
        return f"unknown setting.{suggest(item['loc'][-1], _fields_at(item['loc'][:-1]))}"
    if item["type"] == "missing":
        return "is required and missing"
    shown = repr(item["input"])
    found = "" if len(shown) > 60 else f", not {shown}"
    return f"{item['msg'][0].lower()}{item['msg'][1:]}{found}"


def _fields_at(loc: Sequence[Any]) -> list[str]:
    """Names of the settings where an unknown one was found."""
    schema: Any = Declaration.model_json_schema()
    node = schema
    for part in loc:
        for _ in range(4):
            if "$ref" in node:
                node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return list(node.get("properties", {}))


def _in_document(where: tuple[Any, ...], document: Any) -> tuple[Any, ...]:
    """The part of pydantic's location that exists in the document: union members' names are left out."""
    node, found = document, []
    for index, part in enumerate(where):
        if isinstance(node, Mapping):
            keys = {str(key): key for key in node}
            if str(part) not in keys:
                # A missing key is the last part; what else is unknown here is a union member's name.
                if (
                    index == len(where) - 1
                    and "[" not in str(part)
                    and str(part) not in ("str", "float", "int")
                ):
                    found.append(part)
                break
            node = node[keys[str(part)]]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            break
        found.append(part)
    return tuple(found)


def _line(document: Any, where: Sequence[Any]) -> int:
    """1-based line of the deepest part of `where` that the file itself has."""
    node, line = document, 1
    for part in where:
        if isinstance(node, CommentedMap):
            key = next((k for k in node if str(k) == str(part)), None)
            if key is None or node.lc.data is None or key not in node.lc.data:
                return line
            line = node.lc.key(key)[0] + 1
            node = node[key]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
            node = node[part]
        else:
            return line
    return line
