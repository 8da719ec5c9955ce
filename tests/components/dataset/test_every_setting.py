"""Every setting reaches what it names, or is refused."""

from __future__ import annotations

import ast
import codecs
import copy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.dataset.overrides import apply_overrides
from components.errors import InputError

HOUSE = Path(__file__).resolve().parents[3]
TEXT = """\
name: tiny
impressions: {files: [log.csv], separator: ","}
lookups: [{files: [users.csv], key: user_id, prefix: u_}]
label: click
positive: {at_least: 1}
domain: scene
user: user_id
item: item_id
author: maker
timestamp: {column: ts, unit: s}
columns: {click: int, user_id: int, item_id: int, maker: int, stay: float}
behaviours: {click: {column: click, positive: {at_least: 1}, clip: [0, 1]}}
post_exposure: [stay]
features:
  scene: {type: string, treatment: vocabulary}
  maker: {type: int, treatment: vocabulary, max_size: 9}
  size: {type: float, treatment: normalise}
moving_average: {ranges: {large: {column: size, edges: [1, 2]}}, keys: [{columns: [user], decay: 0.5}]}
evaluation: {thresholds: {gauc: {min: 0.5, max: 0.9, max_drop: 0.1}}, domains: {home: {min: 0.5}}}
"""
CANDIDATES = """
true; false; 0; 1; 2; 3; 9; 100; 0.25; 0.5; 0.75; 1.5; null; auto; x; scene; size; maker; user_id; stay; "|"; ";"
[8, 4]; [0, 2]; [user]; [size]; [user_id]; [scene]; [log2.csv]; {columns: [item], decay: 0.5}; {a: 1}; {stay: float}
[{files: [e.csv]}]; {home: 2026-03-01}
{at_least: 2}; {column: stay}; Asia/Tokyo; 2026-03-01; int; float; string; iso; ms; vocabulary; buckets; log_normalise
""".replace("\n", "; ")

# Refused alone: they hold together with another setting, or instead of one.
TOGETHER = {
    *(f"{place}.one_of" for place in ("positive", "behaviours.click.positive")),
    *(f"behaviours.click.{part}" for part in ("numerator", "denominator")),
    *(
        f"features.{name}.{part}"
        for name in ("scene", "maker", "size")
        for part in ("separator", "list", "max_length")
    ),
    *(f"features.{name}.written" for name in ("scene", "maker")),
    "features.scene.treatment",
    *(f"features.{name}.at_serving" for name in ("scene", "maker")),
    "moving_average.history_behaviours",
    "moving_average.train_state",
}


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            yield member
        yield from (found for part in get_args(member) for found in _classes(part))


def sections(section: type[BaseModel] = Declaration) -> set[type[BaseModel]]:
    """All classes that a declaration is made of."""
    inner = {found for field in section.model_fields.values() for found in _classes(field.annotation)}
    return {section, *(below for found in inner for below in sections(found))}


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of a dumped declaration; an empty table or list is one."""
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    below = [found for key, value in inside for found in leaves(value, (*path, str(key)))]
    yield from below or [path]


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("declared") / "tiny.yaml"
    file.write_text(TEXT)
    return file


def _options() -> list[str]:
    """What may be tried: the candidates above, and all that any setting names as its choices."""
    named = {
        str(choice)
        for section in sections()
        for field in section.model_fields.values()
        for member in _members(field.annotation)
        if get_origin(member) is Literal
        for choice in get_args(member)
    }
    return [*filter(None, map(str.strip, CANDIDATES.split("; "))), *sorted(named)]


def _tries(value: Any, options: list[str]) -> list[str]:
    if isinstance(value, bool):
        return [str(not value).lower()]
    if isinstance(value, (int, float)):
        return [str(value + 1), str(value / 2), "2", "3", "0.25", *options]
    return options


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document.get(part)
    return document


def _is(found: Any, given: Any) -> bool:
    """Whether a setting is what was given, but for its form: a text of a date, a list of one."""
    if isinstance(found, list) and not isinstance(given, list):
        given = [given]
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return len(found) == len(given) and all(map(_is, found, given))
    if isinstance(found, dict) and isinstance(given, dict):
        return all(key in found and _is(found[key], value) for key, value in given.items())
    return bool(found == given) or str(found).startswith(str(given))


def test_what_is_set_is_what_is_read_back() -> None:
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(TEXT)
    plain = Declaration.model_validate(document).model_dump(mode="json")
    options, unmoved = _options(), []
    for path in leaves({key: value for key, value in plain.items() if key != "source"}):
        before = _at(plain, path)
        for text in _tries(before, options):
            changed = copy.deepcopy(document)
            try:
                apply_overrides(changed, Declaration, [f"{'.'.join(path)}={text}"])
                found = Declaration.model_validate(changed).model_dump(mode="json")
            except (InputError, ValidationError):
                continue
            value = _at(found, path) if text != "null" else None
            if path[-1] == "encoding":
                # Of an encoding's many names one is kept.
                assert codecs.lookup(value) == codecs.lookup(text)
                if value != before:
                    break
                continue
            assert _is(value, yaml.load(text)), f"{'.'.join(path)}={text} is accepted, and is {value!r}"
            if value != before:
                break
        else:
            unmoved.append(".".join(path))
    assert set(unmoved) == TOGETHER


def test_every_setting_is_read_by_something() -> None:
    """A field that no code reads is accepted and ignored, as `training.seed` was."""
    read = {
        node.attr
        for folder in ("components", "models", "pipeline", "kubeflow")
        for file in (HOUSE / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    fields = {name for section in sections() for name in section.model_fields}
    assert fields - read == set()


def test_no_setting_of_a_section_stands_for_one_of_the_run() -> None:
    """Two names for one thing: the code reads one of them."""
    own = set(Declaration.model_fields)
    inner = {name for section in sections() - {Declaration} for name in section.model_fields}
    # Events have roles of their own.
    shared = {"name", "domain", "columns", "positive", "behaviours", "timestamp"}
    assert own & inner <= shared | {"domains"}


def test_a_setting_of_elsewhere_is_refused_by_name(declared: Path) -> None:
    with pytest.raises(InputError, match=r"training.*no setting 'seed'.*`seed` stands by itself"):
        load_declaration(str(declared), ["training.seed=2"])
    with pytest.raises(InputError, match=r"`model` has no setting 'epochs'.*`training.epochs`"):
        load_declaration(str(declared), ["model.epochs=2"])
