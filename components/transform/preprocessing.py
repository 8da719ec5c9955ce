"""`preprocessing_fn`: what TensorFlow Transform traces. Lookups in what the passes found, packed into few tensors.

Outputs: `categorical` int64 (C,), `numeric` float32 (N,), `averages` float32 (A,), `history` float32 (D * F,) when
declared, `domain` int64, and (training only) `label` float32 and `day` int64. `layout.read_layout` names their columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.transform.at_serving import as_served
from components.transform.columns import Columns, Raw, read_columns
from components.transform.reading import used_columns
from components.transform.serving_graph import ServingGraph, TableVariables, quantile_ids
from components.transform.tables import Tables
from components.transform.transform_plan import HISTORY_LIMIT, TransformPlan, make_plan

MOST_DEVIATIONS = 20.0
"""Normalised numbers further than this from the mean, in standard deviations, are moved there."""


def preprocessing_fn(inputs: Mapping[str, Raw], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Turns raw columns into packed model inputs.

    Args:
      inputs: the raw columns of the schema, sparse or dense.
      custom_config: `declaration`, the declaration as JSON; `tables`, what the analysis found, and `variables`, the
        large ones of them; `one_day`, see `component.StatefulTransform`.
    """
    declaration = Declaration.from_json(custom_config["declaration"])
    plan = make_plan(declaration, one_day=custom_config.get("one_day", False))
    tables: Tables = custom_config["tables"]
    variables = tft.make_and_track_object(lambda: custom_config["variables"], name="transform_tables")
    with tf.init_scope():
        paths = [tf.constant(path) for path in tables.assets.tolist()]
    for path in paths:
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, path)
    served = as_served(inputs, plan, int(tables.latest[0]))
    return pack(plan, tables, variables, read_columns(served, plan))


def pack(
    plan: TransformPlan, tables: Tables, variables: TableVariables, columns: Columns
) -> dict[str, tf.Tensor]:
    """The packed model inputs of a batch.

    Args:
      plan: what is computed.
      tables: what the analysis found.
      variables: its large tables.
      columns: the batch.
    """
    graph = ServingGraph(plan, tables, variables, columns.hashes, columns.time)
    outputs = {
        "domain": graph.domain,
        "day": tf.math.floordiv(columns.time, plan.day_ms),
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


def check_schema(names: Collection[str], plan: TransformPlan) -> None:
    """Checks that a schema has the columns that are read.

    Raises:
      InputError: it lacks some.
    """
    absent = sorted(set(used_columns(plan)) - set(names))
    if absent:
        raise InputError(f"the schema (.pbtxt) lacks the declared columns {', '.join(absent)}: add them")


def check_history(tables: Tables, plan: TransformPlan) -> None:
    """Checks how wide the history is.

    Raises:
      InputError: too wide.
    """
    width = len(tables.domain_hashes) * len(plan.history_names)
    if width > HISTORY_LIMIT:
        raise InputError(
            f"moving_average.history: {len(tables.domain_hashes)} domains x {len(plan.history_names)} values are"
            f" {width} numbers per row, more than {HISTORY_LIMIT}; switch it off or declare fewer behaviours"
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
