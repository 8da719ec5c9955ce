"""Rows of a domain that training did not know, for models that have nothing but the domains that it knew.

Such a row has the index D. A model that can say something of any domain (`DomainModel.serves_unknown`) takes it as it
is. Of the others the largest domains are asked in its place, and their logits averaged by their training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.base import DomainModel, Rows
from models.features import FeatureLayout

MOST_STAND_INS = 8


def stand_ins(layout: FeatureLayout) -> npt.NDArray[np.float32]:
    """Shares `(M,)`, of sum 1, of the first M domains in what a row of an unknown domain is told."""
    count = min(layout.domain_count, MOST_STAND_INS)
    rows = np.array(layout.domain_rows[:count] or [1] * count, np.float64)
    return np.asarray(rows / rows.sum() if rows.any() else np.full(count, 1 / count), np.float32)


class Asked(NamedTuple):
    """What a model is asked for some rows: each once, those of an unknown domain once for each stand-in.

    Attributes:
        rows: tensors `(E, ...)`.
        domain: `(E,)`.
        row: `(E,)`, ascending, which of the rows each is.
        share: `(E,)`, what its answer weighs.
    """

    rows: Mapping[str, tf.Tensor]
    domain: tf.Tensor
    row: tf.Tensor
    share: tf.Tensor

    def answers(self, given: tf.Tensor) -> tf.Tensor:
        """Answers `(E, ...)` to answers for the rows `(N, ...)`. A row asked once has what was given."""
        share = tf.reshape(self.share, tf.concat([[-1], tf.ones([tf.rank(given) - 1], tf.int32)], 0))
        return tf.math.segment_sum(given * share, self.row)


def ask_stand_ins(model: DomainModel, rows: Rows, domain: tf.Tensor) -> Asked:
    """Puts the stand-ins in the place of unknown domains.

    Args:
        model: one that does not serve them itself.
        rows: tensors `(N, ...)`.
        domain: `(N,)`, D for an unknown one.
    """
    shares = tf.constant(stand_ins(model.layout))
    unknown = domain >= model.domain_count
    times = tf.where(unknown, tf.size(shares), 1)
    row = tf.repeat(tf.range(tf.size(domain)), times)
    place = tf.range(tf.size(row)) - tf.gather(tf.cumsum(times, exclusive=True), row)
    is_unknown = tf.gather(unknown, row)
    return Asked(
        # Most requests have no such row, and are not copied.
        rows=tf.cond(
            tf.reduce_any(unknown),
            lambda: {key: tf.gather(value, row) for key, value in rows.items()},
            lambda: dict(rows),
        ),
        domain=tf.where(is_unknown, place, tf.gather(domain, row)),
        row=row,
        share=tf.where(is_unknown, tf.gather(shares, place), 1.0),
    )
