"""Values of moving averages that a caller knows better than the tables: they win.

A server may keep fresher averages than those of the last training. They come as optional inputs of the model, named
`average.<key>.<behaviour>` (`average.user.is_click`) and `average.<key>.count`, and replace what the tables gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.dataset.declaration import Declaration
from components.transform.row_layout import read_summary
from components.transform.transform_plan import make_plan

PREFIX = "average."


class AverageInputs:
    """Puts given values into packed `averages`.

    A given behaviour is on its own scale (a click rate between 0 and 1), as it is to be expected in the row's
    domain and shrunk as the caller sees fit; a given count is the decayed number of impressions behind it. Both are
    brought to the units of `averages` with the centres and units at the end of training, which serving rows have
    anyway: a key's average becomes its difference from the domain's, the given one where there is one. A given value
    replaces that value alone: others that are shrunk towards it stay as they are.

    Args:
      transform_graph: the `transform_graph` artifact.
      declaration: the one that Transform ran with.
    """

    def __init__(self, transform_graph: str | Path, declaration: Declaration) -> None:
        plan = make_plan(declaration)
        scales = read_summary(transform_graph)["average_scales"]
        behaviours = len(plan.behaviours)
        centre, unit = [*scales["centre"], 0.0], [*scales["unit"], 1.0]
        logarithm = [False] * (behaviours + 1)
        for key, scale in zip(plan.keys, scales["count"], strict=True):
            if key.is_feature:
                centre += [*scales["centre"], 0.0]
                unit += [*scales["unit"], scale]
                logarithm += [*([False] * behaviours), True]
        width = len(plan.average_names)
        of_domain = [*range(behaviours), -1]
        self._domain_column = np.array([-1] * (behaviours + 1) + of_domain * (width // (behaviours + 1) - 1))[
            :width
        ]
        self._names = plan.average_names
        self._centre = np.array(centre[:width], np.float32)
        self._unit = np.array(unit[:width], np.float32)
        self._logarithm = np.array(logarithm[:width], bool)

    @property
    def names(self) -> tuple[str, ...]:
        """The optional inputs, float32 (n,) each; NaN: use the table."""
        return tuple(PREFIX + name for name in self._names)

    def apply(self, averages: tf.Tensor, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """`averages` (n, A) with every given value that is not NaN put in its place.

        Args:
          averages: as Transform packed them, float32 (n, A).
          given: some or all of `names`, float32 (n,) each.

        Raises:
          ValueError: a name is not one of `names`.
        """
        unknown = sorted(set(given) - set(self.names))
        if unknown:
            raise ValueError(f"unknown averages {unknown}; there are {list(self.names)}")
        if not given:
            return averages
        nothing = tf.fill([tf.shape(averages)[0]], tf.constant(float("nan")))
        values = tf.stack([tf.cast(given.get(name, nothing), tf.float32) for name in self.names], axis=1)
        natural = tf.where(self._logarithm, tf.math.log1p(tf.maximum(values, 0.0)), values)
        scaled = (natural - self._centre) / self._unit
        known = tf.where(tf.math.is_nan(values), averages, scaled)
        domain = tf.gather(known, np.maximum(self._domain_column, 0), axis=1)
        relative = scaled - tf.where(self._domain_column >= 0, domain, 0.0)
        return tf.where(tf.math.is_nan(values), averages, relative)
