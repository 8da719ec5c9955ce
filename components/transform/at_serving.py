"""Features that a request does not carry: trained on as they were logged, fixed at a declared value when serving.

Where an item was shown, for instance, explains clicks and is not known before the ranking: a model that learns it keeps
it apart from what it learns of the item.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from components.transform.columns import Raw, RowReader
from components.transform.transform_plan import TransformPlan


def as_served(inputs: Mapping[str, Raw], plan: TransformPlan, latest: int) -> Mapping[str, Raw]:
    """Raw columns in which rows of the present, and of later than what was learned, have the declared values.

    So rows to evaluate are seen as a server sees them. Rows of training keep what was logged.

    Args:
      inputs: the raw columns, sparse or dense.
      plan: names the features and their values.
      latest: local time in ms of the last row that was learned from.
    """
    if not plan.at_serving:
        return inputs
    reader = RowReader(inputs, plan.sources[plan.vocabularies[0].source].name, frozenset())
    time = reader.matrix([(plan.time, 1)], tf.int64)
    served = (time < 0) | (time > latest)
    replaced = dict(inputs)
    for name, value in plan.at_serving:
        dtype = inputs[name].dtype
        replaced[name] = tf.where(served, tf.constant(value, dtype), reader.matrix([(name, 1)], dtype))
    return replaced
