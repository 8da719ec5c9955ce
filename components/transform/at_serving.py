"""Features that a request does not carry: trained on as they were logged, fixed at a declared value when serving.

Where an item was shown, for instance, explains clicks and is not known before the ranking: a model that learns it keeps
it apart from what it learns of the item.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from components.dataset.declaration import Declaration
from components.dataset.names import LOCAL_TIME
from components.transform.columns import Raw, RowReader


def as_served(inputs: Mapping[str, Raw], declaration: Declaration, latest: int) -> Mapping[str, Raw]:
    """Raw columns in which rows of the present, and of later than what was learned, have the declared values.

    So rows to evaluate are seen as a server sees them. Rows of training keep what was logged.

    Args:
      inputs: the raw columns, sparse or dense.
      declaration: names the features and their values.
      latest: local time in ms of the last row that was learned from.
    """
    fixed = declaration.at_serving()
    if not fixed:
        return inputs
    reader = RowReader(inputs, declaration.domain, frozenset())
    time = reader.matrix([(LOCAL_TIME, 1)], tf.int64)
    served = (time < 0) | (time > latest)
    replaced = dict(inputs)
    for name, value in fixed.items():
        dtype = inputs[name].dtype
        replaced[name] = tf.where(served, tf.constant(value, dtype), reader.matrix([(name, 1)], dtype))
    return replaced
