"""`dfei run`: what was asked for, and the folders that it names, checked before anything heavy is imported."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration, set_in
from components.errors import InputError
from models.registry import MODELS, check_options, check_read
from pipeline.layout import RunLayout

SIMULATED = "simulated"
_BOUND = re.compile(r"\b(?:evaluation|daily\.gates)(?:\.\w+)+")


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """What the user asked for.

    Attributes:
      dataset: a name in `schemas/` or a declaration file.
      data: the folder with the impression files; `None` only for the simulated feed, which is then made.
      root: where everything goes.
      overrides: `key=value` settings by dotted name.
      model: the model's name, or `None` for the declared one.
      serving: the directory that TF Serving watches, or `None` for `<root>/serving`.
      beam_runner: the engine of the data components.
      beam_options: its options, `name=value`.
      metadata: the address of a database server for the metadata, or `None` for a file in the root.
      command: how to run it again, for the report.
    """

    dataset: str
    data: Path | None
    root: Path
    overrides: tuple[str, ...] = ()
    model: str | None = None
    serving: Path | None = None
    beam_runner: str = "direct"
    beam_options: tuple[str, ...] = ()
    metadata: str | None = None
    command: str = ""


def declared(
    dataset: str, overrides: Sequence[str], model: str | None, compared: Sequence[str] = ()
) -> Declaration:
    """The declaration with the settings of the command line.

    Args:
      dataset: a name in `schemas/` or a declaration file.
      overrides: `key=value` settings by dotted name.
      model: the model's name, or `None` for the declared one.
      compared: models that are compared, of which one has to have each of `model.options` and to read each setting
        of a model in `overrides`; none: the model alone.

    Raises:
      InputError: naming the file and line, or the setting, that is wrong.
    """
    named = (f"model.name={model}",) if model is not None else ()
    declaration = load_declaration(dataset, [*overrides, *named])
    if declaration.model.name not in MODELS:
        raise InputError(
            f"there is no model {declaration.model.name!r}; the models are {', '.join(sorted(MODELS))}"
        )
    try:
        check_options(declaration.model.options, compared or [declaration.model.name])
    except ValueError as error:
        raise InputError(
            f"{error}. Correct it, or leave it out (--set model.options={{}} does, where the declaration has it)"
        ) from None
    try:
        check_read(model_settings(overrides), compared or [declaration.model.name])
    except ValueError as error:
        raise InputError(f"--set {error}: leave it out") from None
    return declaration


def bounds_set_in(request: RunRequest, reasons: Iterable[str]) -> str:
    """Where the bounds of gates were set that a refusal names: on the command line, in the declaration, or nowhere.

    Args:
      request: what the user asked for.
      reasons: of the refusal, with the keys of the bounds.

    Returns:
      A sentence without its end; empty where the reasons name no bound.
    """
    keys = dict.fromkeys(key for reason in reasons for key in _BOUND.findall(reason))
    if not keys:
        return ""
    declared_keys = set_in(request.dataset)
    origins: dict[str, list[str]] = {}
    for key in keys:
        told = [
            f"--set {shlex.quote(told)}" for told in request.overrides if _covers(told.partition("=")[0], key)
        ]
        # Thresholds in a file replace the default ones as a whole.
        block = ".".join(key.split(".")[:2]) if key.startswith("evaluation.") else key
        origin = f"by {told[-1]}" if told else f"in {request.dataset}" if block in declared_keys else ""
        origins.setdefault(origin, []).append(key)
    words = []
    for origin, found in origins.items():
        what = f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'}" if len(origins) > 1 else ""
        what = what or ("The bound is" if len(found) == 1 else "The bounds are")
        plain = "the default" if len(found) == 1 else "the defaults"
        words.append(f"{what} set {origin}" if origin else f"{what} {plain}: {request.dataset} sets none")
    return "; ".join(words)


def _covers(told: str, key: str) -> bool:
    """Whether a setting of the command line is this one, or the block that it is in."""
    told = told.strip()
    return key == told or key.startswith(f"{told}.")


def model_settings(overrides: Iterable[str]) -> list[str]:
    """The settings of a model among `key=value`."""
    paths = [override.partition("=")[0].strip().split(".") for override in overrides]
    return [path[1] for path in paths if path[0] == "model" and len(path) > 1]


def make_writable(root: Path) -> None:
    """Makes the root folder.

    Raises:
      InputError: it is a file, or may not be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"--root {root} is a file: give a folder") from None
    if not os.access(root, os.W_OK):
        raise InputError(f"--root {root} is not writable: give another folder")


def data_dir(given: Path | None, declaration: Declaration, layout: RunLayout) -> Path:
    """The folder with the impression files; the simulated feed is made where none is given.

    Raises:
      InputError: it is not there, or not given.
    """
    if given is not None:
        data = given.resolve()
        if not data.is_dir():
            raise InputError(
                f"--data {given}: no such folder; give the folder that holds the impression files"
            )
        return data
    if declaration.name != SIMULATED:
        raise InputError(
            f"--data is missing: the folder that holds the impression files of {declaration.name}"
        )
    from pipeline.simulate.feed import simulate

    directory = layout.root / "data"
    simulate(directory)
    return directory


def copy_schema(declaration: Declaration, layout: RunLayout) -> Path:
    """The run's schema in a file named by its content: the cache compares the path, and must see an edit."""
    from components.dataset.schema import schema_text

    text = schema_text(declaration)
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    copy = layout.schemas / f"{declaration.name}-{digest}.pbtxt"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.rename(copy)
    return copy
