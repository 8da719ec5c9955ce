"""`--set a.b=value`: settings changed on the YAML document before it is validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.dataset.names import suggest
from components.dataset.yaml_limits import NO_YAML, require_modest
from components.errors import InputError


def apply_overrides(
    document: Any, model: type[BaseModel], overrides: Sequence[str]
) -> dict[tuple[Any, ...], str]:
    """Applies each `path=value` in place; later ones win.

    The path's parts are keys, or positions in a list; the value is read as YAML (`[64, 32]`, `1e-3`, `null`).
    An entry of a table that the user names (a feature, a behaviour, a threshold ...) is removed by `null`.
    What is set inside a table or a list that the document lacks changes the default, which else stays as it is.

    Args:
      document: the YAML document, nested dicts and lists; changed in place.
      model: the pydantic class of the whole document: its fields may be set though the document lacks them.
      overrides: texts `a.b=value`.
    Returns:
      path -> the override's text, so that a later validation error can name what was typed.
    Raises:
      InputError: no `=`, a value that is not YAML, or an unknown path (with close names).
    """
    applied: dict[tuple[Any, ...], str] = {}
    for text in overrides:
        path_text, equals, value_text = text.partition("=")
        if not equals or not path_text.strip():
            raise InputError(f"--set {text}: expected name=value, as in --set split.eval_days=3")
        require_modest(value_text, f"--set {path_text}")
        try:
            value = YAML(typ="safe", pure=True).load(value_text)
        except (YAMLError, *NO_YAML):
            raise InputError(f"--set {text}: {value_text!r} is not a YAML value; quote it") from None
        parts = path_text.strip().split(".")
        applied[_assign(document, model, parts, value, text)] = f"--set {text}"
    return applied


def _assign(document: Any, model: Any, parts: list[str], value: Any, text: str) -> tuple[Any, ...]:
    node, annotation = document, model
    path: list[Any] = []
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, list):
            key: Any = _position(node, part, text)
            inner = _item(annotation)
            exists = True
        else:
            key, inner, exists, free = _member(model, node, annotation, part, text, ".".join(map(str, path)))
            if last and value is None and free:
                node.pop(key, None)
                return (*path, key)
        path.append(key)
        if last:
            node[key] = value
            return tuple(path)
        if not exists:
            node[key] = _default(annotation, part)
        child = node[key]
        if not isinstance(child, (Mapping, list)):
            node[key] = child = {}
        node, annotation = child, inner
    raise AssertionError("a path has at least one part")


def _position(node: list[Any], part: str, text: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise InputError(f"--set {text}: {part!r} is no position in a list of {len(node)} (from 0)")
    return int(part)


def _elsewhere(root: Any, name: str) -> str:
    """Where else a setting of this name is, if it is in one place alone."""
    found = [f"`{name}` stands by itself"] if name in root.model_fields else []
    for section, field in root.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in kind.model_fields:
            found.append(f"there is `{section}.{name}`")
    return f" But {found[0]}." if len(found) == 1 else ""


def _member(
    root: Any, node: Any, annotation: Any, part: str, text: str, where: str
) -> tuple[Any, Any, bool, bool]:
    """(key, type of the member, whether the document has it, whether the user names the members)."""
    shown = f"`{where}`" if where else "the declaration"
    known = {str(key): key for key in node}
    exists = part in known
    key = known.get(part, part)
    models = [a for a in _alternatives(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
    for candidate in models:
        if part in candidate.model_fields:
            return key, _annotation(candidate, part), exists, False
        if candidate.model_config.get("extra") == "allow":
            return key, Any, exists, True
    if models:
        fields = [name for candidate in models for name in candidate.model_fields]
        hint = _elsewhere(root, part) or suggest(part, fields)
        raise InputError(f"--set {text}: {shown} has no setting {part!r}.{hint}")
    for candidate in _alternatives(annotation):
        if candidate in (Any, dict):
            return key, Any, exists, True
        if get_origin(candidate) is dict:
            return key, get_args(candidate)[1], exists, True
    raise InputError(f"--set {text}: {shown} is a single value, it has no {part!r}")


def _annotation(model: type[BaseModel], field: str) -> Any:
    return model.model_fields[field].annotation


def _default(annotation: Any, field: str) -> Any:
    """What a setting is where nothing is said about it: what its class says by itself is left out."""
    for candidate in _alternatives(annotation):
        if (
            isinstance(candidate, type)
            and issubclass(candidate, BaseModel)
            and field in candidate.model_fields
        ):
            value = candidate.model_fields[field].get_default(call_default_factory=True)
            if value is not PydanticUndefined:
                kind = TypeAdapter(_annotation(candidate, field))
                return kind.dump_python(value, mode="json", exclude_unset=True)
    return None


def _item(annotation: Any) -> Any:
    for candidate in _alternatives(annotation):
        if get_origin(candidate) in (list, tuple) and get_args(candidate):
            return get_args(candidate)[0]
    return Any


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union, without Annotated[...] wrappers."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [b for a in get_args(annotation) for b in _alternatives(a)]
    return [annotation]
