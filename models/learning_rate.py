"""How the learning rate moves over a training: a warm-up, then a schedule."""

from __future__ import annotations

from typing import Literal

import numpy as np
import tensorflow as tf

LearningRateSchedule = Literal["constant", "linear", "cosine"]


def rate_factor(
    step: tf.Tensor, horizon: tf.Tensor, schedule: LearningRateSchedule, warmup: float
) -> tf.Tensor:
    """What the learning rate is multiplied with in a step.

    With `f = (step - 1) / horizon` the share of the training that is over and `w` the warm-up,

        f < w:      step / (w horizon)
        constant:   1
        linear:     1 - g,                   g = (f - w) / (1 - w)
        cosine:     (1 + cos(pi g)) / 2

    and never below 0, should there be more steps than the horizon says.

    Args:
        step: from 1.
        horizon: steps of the whole training.
        schedule: after the warm-up.
        warmup: w, share of the steps in [0, 1).
    """
    step, horizon = tf.cast(step, tf.float32), tf.maximum(tf.cast(horizon, tf.float32), 1.0)
    done = (step - 1.0) / horizon
    gone = tf.clip_by_value((done - warmup) / (1.0 - warmup), 0.0, 1.0)
    if schedule == "linear":
        after = 1.0 - gone
    elif schedule == "cosine":
        after = 0.5 * (1.0 + tf.cos(np.pi * gone))
    else:
        after = tf.ones_like(gone)
    return tf.where(done < warmup, step / tf.maximum(warmup * horizon, 1.0), after)
