"""`preprocessing_fn`: what TFX's Transform calls. One analyser, then lookups; outputs are packed into few tensors.

Outputs: `categorical` int64 (C,), `numeric` float32 (N,), `averages` float32 (A,), `history` float32 (D * F,) when
declared, `domain` int64, and (training only) `label` float32 and `day` int64. `layout.read_layout` names their columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.transform.analyser import AnalyseRows
from components.transform.columns import Columns, Raw, read_columns
from components.transform.serving_graph import ServingGraph, TableVariables, quantile_ids
from components.transform.tables import Tables
from components.transform.transform_plan import HISTORY_LIMIT, TransformPlan, make_plan

MOST_DEVIATIONS = 20.0
"""Normalised numbers further than this from the mean, in standard deviations, are moved there."""


def preprocessing_fn(inputs: Mapping[str, Raw], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Turns raw columns into packed model inputs.

    Args:
      inputs: the raw columns of the schema, sparse or dense.
      custom_config: `declaration`, the declaration as JSON; where the rows continue a state, its folder `prior_state`;
        the folder `state` to write the state after them to; `one_day`, see `component.StatefulTransform`.

    Raises:
      InputError: the schema lacks a declared column; a setting is not available; the history would be too wide.
    """
    declaration = Declaration.from_json(custom_config["declaration"])
    plan = make_plan(declaration, one_day=custom_config.get("one_day", False))
    _check_inputs(inputs, plan)
    columns = read_columns(inputs, plan)
    analyser = AnalyseRows(plan, custom_config.get("prior_state", ""), custom_config.get("state", ""))
    tables = _analyse(plan, columns, analyser)
    variables = tft.make_and_track_object(lambda: TableVariables(tables), name="transform_tables")
    graph = ServingGraph(plan, tables, variables, columns.hashes, columns.time)
    outputs = {
        "domain": graph.domain,
        "day": tf.math.floordiv(columns.time, declaration.split.day_ms),
        "label": columns.label,
    }
    if plan.categorical:
        outputs["categorical"] = _categorical(plan, tables, graph, columns)
    if plan.numeric:
        outputs["numeric"] = _numeric(plan, tables, columns)
    if plan.behaviours:
        outputs["averages"], history = graph.averages()
        if history is not None:
            outputs["history"] = history
    return outputs


def _check_inputs(inputs: Mapping[str, Raw], plan: TransformPlan) -> None:
    names = [source.column for source in plan.sources]
    names += [name for name, _ in (*plan.quantiles, *plan.numeric)]
    names += [plan.time, plan.label, *(f"behaviour.{name}" for name in plan.behaviours)]
    absent = sorted(set(names) - set(inputs))
    if absent:
        raise InputError(f"the schema (.pbtxt) lacks the declared columns {', '.join(absent)}: add them")


def _analyse(plan: TransformPlan, columns: Columns, analyser: AnalyseRows) -> Tables:
    """The tables, once Transform has computed them; placeholders of the right kind before."""
    (encoded,) = tft.experimental.ptransform_analyzer(
        inputs=[
            columns.hashes,
            columns.integers,
            columns.texts,
            columns.numbers[:, : len(plan.normalised) + len(plan.quantiles)],
            columns.behaviours,
            columns.label,
            columns.time,
        ],
        ptransform=analyser,
        output_dtypes=[tf.uint8],
        output_shapes=[[None]],
        name="analyse_rows",
    )
    value = tf.get_static_value(encoded)
    if value is None:
        return _placeholder(plan)
    tables = Tables.from_bytes(value.tobytes())
    with tf.init_scope():
        paths = [tf.constant(path) for path in tables.assets.tolist()]
    for path in paths:
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, path)
    width = len(tables.domain_hashes) * len(plan.history_names)
    if width > HISTORY_LIMIT:
        raise InputError(
            f"moving_average.history: {len(tables.domain_hashes)} domains x {len(plan.history_names)} values are"
            f" {width} numbers per row, more than {HISTORY_LIMIT}; switch it off or declare fewer behaviours"
        )
    return tables


def _placeholder(plan: TransformPlan) -> Tables:
    """Tables with one entry each, for the traces before the analysis is done."""
    behaviours, vocabularies = len(plan.behaviours), len(plan.vocabularies)
    return Tables(
        vocabulary_keys=np.zeros(1, np.int64),
        vocabulary_ids=np.zeros(1, np.int32),
        vocabulary_sizes=np.ones(vocabularies, np.int32),
        quantiles=np.full((len(plan.quantiles), 1), np.inf, np.float32),
        mean=np.zeros(len(plan.normalised), np.float32),
        deviation=np.ones(len(plan.normalised), np.float32),
        buckets=np.zeros(1, np.int64),
        latest=np.zeros(1, np.int64),
        domain_hashes=np.zeros(1, np.int64),
        domain_averages=np.zeros((2, 2, behaviours), np.float32),
        domain_known=np.zeros((2, 2), np.float32),
        overall=np.zeros((2, behaviours), np.float32),
        spread=np.ones((2, behaviours), np.float32),
        keys=np.zeros(1, np.int64),
        key_buckets=np.zeros(1, np.int64),
        states=np.zeros((1, behaviours + 1), np.float32),
        missing=np.full(behaviours, -1),
        strength=np.ones((len(plan.keys), 2, behaviours), np.float32),
        count_scale=np.ones(len(plan.keys), np.float32),
    )


def _categorical(plan: TransformPlan, tables: Tables, graph: ServingGraph, columns: Columns) -> tf.Tensor:
    ids = graph.vocabulary_ids()
    if not plan.quantiles:
        return ids
    first = len(plan.normalised)
    values = columns.numbers[:, first : first + len(plan.quantiles)]
    ids = tf.concat([ids, quantile_ids(tables.quantiles, values)], axis=1)
    widths = {v.name: plan.sources[v.source].width for v in plan.vocabularies[1:]}
    widths |= {name: 1 for name, _ in plan.quantiles}
    starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
    order = [starts[name] + place for name, _ in plan.categorical for place in range(widths[name])]
    return tf.gather(ids, order, axis=1)


def _numeric(plan: TransformPlan, tables: Tables, columns: Columns) -> tf.Tensor:
    normalised, plain = len(plan.normalised), len(plan.normalised) + len(plan.quantiles)
    names = [name for name, _ in plan.normalised]
    names += [name for name, treatment in plan.numeric if treatment == "as_is"]
    columns_at = [*range(normalised), *range(plain, columns.numbers.shape[1])]
    order = [names.index(name) for name, _ in plan.numeric]
    mean = np.concatenate([tables.mean, np.zeros(len(names) - normalised, np.float32)])[order]
    deviation = np.concatenate([tables.deviation, np.ones(len(names) - normalised, np.float32)])[order]
    values = (tf.gather(columns.numbers, np.array(columns_at)[order], axis=1) - mean) / deviation
    values = tf.where(tf.math.is_nan(values), 0.0, values)
    # A broken number of a caller, 1e30, must not become infinite in a product of two inputs.
    bounds = [MOST_DEVIATIONS] * normalised + [np.inf] * (len(names) - normalised)
    most = np.array(bounds, np.float32)[order]
    return tf.clip_by_value(values, -most, most)
