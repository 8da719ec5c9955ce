"""Warm start: a training goes on from the weights, the optimiser's slots and the domain features of an earlier one.

What happens to each kind of variable when values, domains or features have come or gone:

| variable | kept | new | gone |
|---|---|---|---|
| embedding table | by feature and value | mean of the feature's out-of-vocabulary rows | dropped |
| stacked by domain (towers, heads, gates) | by domain | the common base; without one the domains' mean | dropped |
| `v_d` and statistics by domain | by domain | not seen yet | dropped |
| weights of the input's columns | by feature and domain | 0: no say until learned | dropped |
| over domains (HMoE's relation, HiNet's attention) | by domain | initial values | dropped |
| all else | as it is | | |
| Adam's means, squares and steps | with their weight | 0 | dropped |

The course of the learning rate, early stopping and metrics start anew.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import Array, write_arrays
from models.base import DomainModel
from models.features import FeatureLayout
from models.optimizer import TwoRateOptimizer, variable_name
from models.settings import ModelSettings
from models.weight_axes import DOMAINS, INPUT, UNKNOWN, VALUES, Axis, Values, WeightAxes

WEIGHTS = "weights.npz"
ABOUT = "weights.json"
SLOTS = ("mean", "square", "steps")

Arrays = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What a training leaves for the next one.

    Attributes:
        layout: of its rows.
        settings: of its model.
        values: known values of each categorical feature, in the order of their ids from 1.
        steps: optimiser steps made, those of earlier trainings included.
        weights: by variable name.
        slots: Adam's, by `mean`, `square` and `steps`, then by variable name.
    """

    layout: FeatureLayout
    settings: ModelSettings
    values: Values
    steps: int
    weights: Arrays
    slots: dict[str, Arrays]


def take_snapshot(model: DomainModel, optimizer: TwoRateOptimizer, values: Values) -> Snapshot:
    """The model and its optimiser as they are now."""
    return Snapshot(
        layout=model.layout,
        settings=model.settings,
        values={name: list(known) for name, known in values.items()},
        steps=optimizer.steps_made(),
        weights={variable_name(variable): variable.numpy() for variable in model.variables},
        slots=optimizer.slots(),
    )


def write_snapshot(snapshot: Snapshot, directory: Path) -> None:
    """Writes `weights.npz` and `weights.json`; `read_snapshot` gives it back."""
    arrays = {f"weight/{name}": value for name, value in snapshot.weights.items()}
    for slot, by_name in snapshot.slots.items():
        arrays |= {f"{slot}/{name}": value for name, value in by_name.items()}
    write_arrays(directory / WEIGHTS, arrays)
    about = {
        "layout": json.loads(snapshot.layout.to_json()),
        "settings": snapshot.settings.model_dump(mode="json"),
        "values": {name: list(known) for name, known in snapshot.values.items()},
        "steps": snapshot.steps,
    }
    (directory / ABOUT).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


def read_snapshot(directory: Path) -> Snapshot:
    """What `write_snapshot` wrote.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    about = json.loads((directory / ABOUT).read_text(encoding="utf-8"))
    by_kind: dict[str, Arrays] = {}
    try:
        with np.load(directory / WEIGHTS, allow_pickle=False) as arrays:
            for key in arrays.files:
                kind, _, name = key.partition("/")
                by_kind.setdefault(kind, {})[name] = arrays[key]
        return Snapshot(
            layout=FeatureLayout.from_json(json.dumps(about["layout"])),
            settings=ModelSettings.model_validate(about["settings"]),
            values=about["values"],
            steps=about["steps"],
            weights=by_kind.pop("weight"),
            slots=by_kind,
        )
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(f"{directory / WEIGHTS} is damaged: {error}") from error


def cannot_follow(snapshot: Snapshot, settings: ModelSettings) -> str | None:
    """Why weights can't be carried into a model of these settings; None if they can."""
    was, now = snapshot.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    changed = [
        f"model.{key} was {was.get(key)!r} and is {now.get(key)!r}" for key in now if was.get(key) != now[key]
    ]
    return "; ".join(changed) or None


def warm_start(model: DomainModel, optimizer: TwoRateOptimizer, values: Values, earlier: Snapshot) -> None:
    """Gives a freshly built model and its optimiser what an earlier training knew.

    Args:
        model: built, with initial values.
        optimizer: of this model.
        values: known values of each categorical feature, in the order of their ids from 1.
        earlier: of a model with the same settings.

    Raises:
        ValueError: the settings differ, or a variable is missing or of another shape.
    """
    reason = cannot_follow(earlier, model.settings)
    if reason:
        raise ValueError(f"the weights of the earlier training can't be carried over: {reason}")
    names = [variable_name(variable) for variable in model.variables]
    absent = sorted(set(names) - set(earlier.weights))
    if absent:
        raise ValueError(f"the earlier training has no weights {absent}")
    labels = WeightAxes(model)
    before = type(model)(earlier.layout, earlier.settings)
    old_axes = labels.label(before, [earlier.weights[name].shape for name in names], earlier.values)
    new_axes = labels.label(model, [tuple(variable.shape) for variable in model.variables], values)
    has_base = {name.rpartition("/")[0] for name in names if name.endswith("/base_kernel")}
    slots: dict[str, Arrays] = {slot: {} for slot in earlier.slots}
    for variable, name, old, new in zip(model.variables, names, old_axes, new_axes, strict=True):
        move = _Move(old, new)
        value = move.known(earlier.weights[name], variable.numpy())
        if variable.trainable:
            value = move.begin(value, common_base=name.rpartition("/")[0] in has_base)
        variable.assign(value)
        for slot, by_name in earlier.slots.items():
            if name in by_name:
                axes = _Move(old[:1], new[:1]) if slot == "steps" else move
                shape = (
                    (variable.shape[0] if variable.shape.rank else 1,) if slot == "steps" else variable.shape
                )
                slots[slot][name] = axes.known(by_name[name], np.zeros(shape, np.float32))
    optimizer.continue_from(earlier.steps, slots)


class _Move:
    """From the positions of an earlier variable to those of a new one.

    Args:
        old, new: the axes of both.
    """

    def __init__(self, old: Sequence[Axis | None], new: Sequence[Axis | None]) -> None:
        self._new = new
        self._from: list[Array | None] = []
        for before, after in zip(old, new, strict=True):
            if before is None or after is None:
                self._from.append(None)
                continue
            place = {label: n for n, label in enumerate(before.labels)}
            self._from.append(np.array([place.get(label, -1) for label in after.labels], np.int64))

    def known(self, earlier: Array, initial: Array) -> Array:
        """`initial` with the earlier values wherever all axes know the position."""
        source = [
            np.arange(size) if at is None else at for at, size in zip(self._from, initial.shape, strict=True)
        ]
        for at, size, was in zip(self._from, initial.shape, earlier.shape, strict=True):
            if at is None and size != was:
                raise ValueError(f"a weight of shape {earlier.shape} can't become one of {initial.shape}")
        value = initial.copy()
        to = [np.flatnonzero(at >= 0) for at in source]
        if value.ndim:
            value[np.ix_(*to)] = earlier[np.ix_(*(at[at >= 0] for at in source))]
            return value
        return np.asarray(earlier, initial.dtype)

    def begin(self, value: Array, common_base: bool) -> Array:
        """Gives the positions that are new what they begin with, where that is not their initial value."""
        for n, (axis, at) in enumerate(zip(self._new, self._from, strict=True)):
            if axis is None or at is None or (at >= 0).all():
                continue
            view = np.moveaxis(value, n, 0)
            if axis.kind == INPUT and value.ndim > 1 and n == value.ndim - 2:
                view[at < 0] = 0.0
            elif axis.kind == VALUES:
                self._unknown(view, axis, at)
            elif axis.kind == DOMAINS and n == 0 and not common_base and (at >= 0).any():
                view[at < 0] = view[at >= 0].mean(axis=0)
        return value

    @staticmethod
    def _unknown(table: Array, axis: Axis, at: Array) -> None:
        features = np.array([str(label[0]) for label in axis.labels])  # type: ignore[index]
        unknown = np.array([label[1] == UNKNOWN for label in axis.labels])  # type: ignore[index]
        for feature in np.unique(features[at < 0]):
            mine = features == feature
            learned = mine & (at >= 0) & unknown
            if not learned.any():
                learned = mine & (at >= 0)
            if learned.any():
                table[mine & (at < 0)] = table[learned].mean(axis=0)
