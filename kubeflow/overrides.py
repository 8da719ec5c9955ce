"""Runtime parameters applied to what a component gets: its declaration, its folder, its destination."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pydantic import ValidationError
from tfx.dsl.io import fileio

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.dataset.overrides import apply_overrides
from components.dataset.schema import schema_text
from components.errors import InputError
from kubeflow import mounts
from kubeflow import runtime_parameters as names
from models.registry import MODELS, check_options, check_read
from pipeline import views
from pipeline.request import model_settings

_NOT_FOR_EVALUATION = ("model", "training", "moving_average", "split", "seed", "max_rejected_share")


def for_evaluation(declaration: Declaration) -> str:
    """What the evaluation's configuration is made of."""
    defaults = {
        section: Declaration.model_fields[section].get_default(call_default_factory=True)
        for section in (*_NOT_FOR_EVALUATION, "description", "licence", "source")
    }
    return declaration.model_copy(update=defaults).to_json()


VIEWS: dict[str, Callable[[Declaration], str]] = {
    "ingestion": views.for_ingestion,
    "transform": views.for_transform,
    "trainer": views.for_trainer,
    "signatures": views.for_signatures,
    "evaluation": for_evaluation,
    "gates": views.for_gates,
    "feed": Declaration.to_json,
}


def apply(properties: dict[str, Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Applies runtime values to the properties of a component.

    Args:
      properties: the component's own parameters.
      values: the runtime parameters and the compiler's constants of this task, without their prefix.

    Returns:
      The properties as the component shall see them, and further options for Beam.

    Raises:
      InputError: a value is wrong, a named file is missing.
    """
    changed = dict(properties)
    if names.SCHEMA_TEXT in values:
        changed["schema_file"] = _schema_file(values)
    if names.VIEW in values:
        _apply_declaration(changed, values)
    if "data_dir" in values:
        changed["data_dir"] = _data_dir(str(values["data_dir"]))
    if "push_destination" in values:
        changed["push_destination"] = _destination(values)
    for name in ("root", "accept", "first_day"):
        if name in values:
            changed[name] = str(values[name])
    return changed, shlex.split(str(values.get("beam_args", "")))


def _apply_declaration(changed: dict[str, Any], values: Mapping[str, Any]) -> None:
    view = str(values[names.VIEW])
    if "declaration" in changed:
        changed["declaration"] = resolve(changed["declaration"], view, values)
    elif "custom_config" in changed:
        config = json.loads(changed["custom_config"])
        config["declaration"] = resolve(config["declaration"], view, values)
        strategy = json.loads(config["declaration"])["training"]["strategy"]
        if names.TRAINING_JOB in values and strategy != "multi_worker":
            raise InputError(
                f"training.strategy is {strategy}, but this package trains by the workers of a TFJob: leave the "
                "setting out, with another declaration give settings='training.strategy=multi_worker', or compile "
                "without --trainer-workers"
            )
        changed["custom_config"] = json.dumps(config, sort_keys=True)
    elif "eval_config" in changed:
        from components.evaluator.config import eval_config

        text = resolve(str(values[names.BASE_DECLARATION]), view, values)
        config = eval_config(Declaration.from_json(text))
        changed["eval_config"] = json_format.MessageToJson(config, sort_keys=True)


def resolve(base: str, view: str, values: Mapping[str, Any]) -> str:
    """The part of the declaration that a task needs, with the run's settings.

    Args:
      base: the compiled part, as JSON.
      view: which part it is, a name in `VIEWS`.
      values: the runtime values of the task.

    Raises:
      InputError: a setting is unknown or its value wrong.
    """
    if values.get("declaration"):
        base = _load(str(values["declaration"])).to_json()
    document = json.loads(base)
    apply_overrides(document, Declaration, settings(values))
    try:
        declaration = Declaration.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise InputError(f"the run's parameters do not give a valid declaration: {problems}") from None
    if declaration.model.name not in MODELS:
        raise InputError(
            f"model={declaration.model.name}: there is no such model; choose from {', '.join(sorted(MODELS))}"
        )
    try:
        check_options(declaration.model.options, [declaration.model.name])
        check_read(model_settings(_free(values)), [declaration.model.name])
    except ValueError as error:
        raise InputError(f"the run's parameters: {error}") from None
    return VIEWS[view](declaration)


def settings(values: Mapping[str, Any]) -> list[str]:
    """The run's settings as `--set` takes them; the free text comes last, so it wins."""
    named = []
    for name, value in values.items():
        parameter = names.by_name(name)
        if parameter is not None and parameter.setting is not None:
            number = int(value) if parameter.kind == "NUMBER_INTEGER" else value
            if parameter.auto and number == 0:
                number = names.AUTO
            named.append(f"{parameter.setting}={json.dumps(number)}")
    return sorted(named) + _free(values)


def _free(values: Mapping[str, Any]) -> list[str]:
    parts = re.split(r"[;\n]", str(values.get("settings", "")))
    return [text.strip() for text in parts if text.strip()]


def _load(name_or_address: str) -> Declaration:
    """A declaration that the image knows by name, or one at an address, with the schema beside it."""
    if not name_or_address.endswith((".yaml", ".yml")):
        return load_declaration(name_or_address)
    return load_declaration(str(_fetch(name_or_address)))


def _fetch(address: str) -> Path:
    """Copies a declaration and its schema from wherever they are into a folder of this container."""
    folder = Path(tempfile.mkdtemp(prefix="declaration-"))
    stem = address.rsplit(".", 1)[0]
    for source in (address, f"{stem}.pbtxt"):
        local = mounts.to_local(source)
        readable = local if Path(local).is_file() else source
        try:
            fileio.copy(readable, str(folder / source.rsplit("/", 1)[-1]))
        except (OSError, fileio.NotFoundError) as error:
            raise InputError(f"declaration={address}: {source} cannot be read: {error}") from None
    return folder / address.rsplit("/", 1)[-1]


def _schema_file(values: Mapping[str, Any]) -> str:
    """A file with the schema: the compiled one, or that of the run's declaration."""
    given = values.get("declaration")
    text = schema_text(_load(str(given))) if given else str(values[names.SCHEMA_TEXT])
    path = Path(tempfile.mkdtemp(prefix="schema-")) / "schema.pbtxt"
    path.write_text(text)
    return str(path)


def _data_dir(text: str) -> str:
    if not text:
        raise InputError("data_dir is empty: give the folder with the impression files")
    local = mounts.to_local(text)
    if not Path(local).is_dir():
        remedy = "mount the bucket there" if mounts.is_address(text) else "mount the volume that holds it"
        raise InputError(f"data_dir={text}: this container has no folder {local}; {remedy}")
    return local


def _destination(values: Mapping[str, Any]) -> str:
    base = str(values["push_destination"]).rstrip("/")
    if not base:
        raise InputError("push_destination is empty: give the folder of the served models")
    return json.dumps({"filesystem": {"base_directory": f"{base}/{values['model']}"}})
