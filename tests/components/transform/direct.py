"""The analysis and the lookups without Beam or TFT, so that properties can be tried on many small inputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.dataset.declaration import Declaration
from components.transform import chunks, collect
from components.transform.columns import Raw, read_columns
from components.transform.key_states import split_keys, sums_name
from components.transform.serving_graph import ServingGraph, TableVariables
from components.transform.state import BehaviourState
from components.transform.tables import Analysis, build_tables
from components.transform.transform_plan import TransformPlan, make_plan
from tests.components.transform.helpers import Row

_DTYPES = {"int": tf.int64, "float": tf.float32, "string": tf.string}


def inputs_of(declared: Declaration, rows: Sequence[Row]) -> dict[str, Raw]:
    """Rows as the sparse tensors that TFT hands over."""
    inputs = {}
    for name, type_ in declared.example_columns().items():
        indices, values, width = [], [], 0
        for number, row in enumerate(rows):
            value = row.get(name)
            listed = [] if value is None else list(value) if isinstance(value, list) else [value]
            indices += [[number, place] for place in range(len(listed))]
            values += listed
            width = max(width, len(listed))
        inputs[name] = tf.SparseTensor(
            tf.constant(indices, tf.int64, shape=[len(indices), 2]),
            tf.constant(values, _DTYPES[type_], shape=[len(values)]),
            [len(rows), width],
        )
    return inputs


def block_of(declared: Declaration, plan: TransformPlan, rows: Sequence[Row]) -> collect.Block:
    """Rows as the analyser gets them."""
    columns = read_columns(inputs_of(declared, rows), plan)
    analysed = len(plan.normalised) + len(plan.quantiles)
    tensors = [columns.hashes, columns.integers, columns.texts, columns.numbers[:, :analysed]]
    tensors += [columns.behaviours, columns.label, columns.time]
    return tuple(tensor.numpy() for tensor in tensors)


def analyse_block(
    plan: TransformPlan,
    block: collect.Block,
    cuts: Sequence[int] = (),
    prior: BehaviourState | None = None,
) -> Analysis:
    """The analysis of a block that is cut into bundles at the row numbers `cuts`, after what is known before."""
    prior = BehaviourState.empty(plan) if prior is None else prior
    until = None
    if plan.refreshed_days:
        until = collect.first_refreshed_day((block[-1] // plan.day_ms).tolist(), plan.refreshed_days)
    merged = {partition: collect.Merge(plan) for partition in range(chunks.PARTITIONS)}
    edges = [0, *sorted(cuts), len(block[-1])]
    for start, end in itertools.pairwise(edges):
        batches = [tuple(column[start:end] for column in block)] if end > start else []
        for by_partition in collect.reduce_rows(plan, batches, until):
            for partition, partials in by_partition.items():
                for partial in partials:
                    merged[partition].add(partial)
    others, store = list[collect.Partial](), dict[str, Any]()
    for partition, merge in merged.items():
        pruned = [collect.prune(found, plan, prior) for found in merge.results()]
        store[sums_name(partition)], more = split_keys(pruned)
        others += more
    return build_tables(plan, others, store, prior)


def analyse(declared: Declaration, rows: Sequence[Row], prior: BehaviourState | None = None) -> Analysis:
    """The analysis of training rows, after what is known before them."""
    plan = make_plan(declared)
    return analyse_block(plan, block_of(declared, plan, rows), prior=prior)


def look_up(
    declared: Declaration, analysis: Analysis, rows: Sequence[Row], *, now: bool = False
) -> ServingGraph:
    """Looks rows up; with `now` as a server does, without their time."""
    plan = make_plan(declared)
    columns = read_columns(inputs_of(declared, rows), plan)
    time = tf.fill(tf.shape(columns.time), tf.constant(-1, tf.int64)) if now else columns.time
    return ServingGraph(
        plan, analysis.tables, TableVariables(analysis.tables, analysis.keys), columns.hashes, time
    )


def averages(
    declared: Declaration, analysis: Analysis, rows: Sequence[Row], *, now: bool = False
) -> dict[str, np.ndarray]:
    """The columns of `averages` by name."""
    values, _ = look_up(declared, analysis, rows, now=now).averages()
    return dict(zip(make_plan(declared).average_names, values.numpy().T, strict=True))


def with_settings(declared: Declaration, **settings: Any) -> Declaration:
    """The declaration with other settings of its moving averages."""
    before = declared.moving_average
    section = type(before).model_validate({**before.model_dump(), **settings})
    return declared.model_copy(update={"moving_average": section})
