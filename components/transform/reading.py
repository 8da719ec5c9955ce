"""Raw examples as dense batches, and the graph over them: what the passes of Transform do with a file of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from components.dataset.names import BEHAVIOUR_PREFIX
from components.example_files import read_serialized
from components.transform.columns import MISSING, Raw
from components.transform.transform_plan import TransformPlan


def used_columns(plan: TransformPlan) -> tuple[str, ...]:
    """The columns of raw examples that Transform reads, sorted."""
    names = {source.column for source in plan.sources}
    names |= {name for name, _ in (*plan.quantiles, *plan.numeric)}
    return tuple(sorted(names | {plan.time, plan.label} | {BEHAVIOUR_PREFIX + b for b in plan.behaviours}))


def parsing_spec(plan: TransformPlan, dtypes: Mapping[str, tf.DType]) -> dict[str, Any]:
    """How `tf.io.parse_example` reads the columns: a column that is no list as one value, what is absent as missing.

    Args:
      plan: what is computed.
      dtypes: of the columns, by name.
    """
    lists = {source.column for source in plan.sources if source.is_list}
    return {
        name: tf.io.VarLenFeature(dtypes[name])
        if name in lists
        else tf.io.FixedLenFeature([], dtypes[name], MISSING[dtypes[name]])
        for name in used_columns(plan)
    }


def read_file(path: str, graph: Callable[[tf.Tensor], Any]) -> Iterator[Any]:
    """What a graph makes of the rows of a file, a batch at a time.

    Args:
      path: a gzip-compressed TFRecord file of raw `tf.Example`s.
      graph: see `over_examples`.
    """
    for serialized in read_serialized(path):
        yield graph(serialized)


def over_examples(
    spec: Mapping[str, Any], compute: Callable[[Mapping[str, Raw]], Any]
) -> Callable[[tf.Tensor], Any]:
    """A graph over serialized examples.

    Args:
      spec: see `parsing_spec`.
      compute: tensors from the columns.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def graph(serialized: tf.Tensor) -> Any:
        return compute(tf.io.parse_example(serialized, dict(spec)))

    return graph
