"""The compiled training step: several optimiser steps in one call into TensorFlow."""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf

from models.arrays import Array
from models.base import DomainModel
from models.optimizer import TwoRateOptimizer
from models.replicas import ALONE, Replicas, of_whole_step
from models.settings import TrainingSettings


class Chunk(NamedTuple):
    """Several steps, stacked.

    Attributes:
        rows: `(K, G, B, ...)` by key.
        domains: `(K, G)` int32.
        weights: `(K, G, B)` float32 padding mask.
        labels: `(K, G, B)` float32.
        whole: `(K, 2)` float32, rows and mini-batches with rows of each step, those of other replicas included.
    """

    rows: dict[str, Array]
    domains: Array
    weights: Array
    labels: Array
    whole: Array


class TrainingStep:
    """Makes the steps of a chunk: forward, loss, gradients, two-rate update.

    The loss of a step is summed over its `G` mini-batches, so a domain's own part gets the gradient of its
    own loss as if its batch were alone in the step; the shared part's gradient is divided by `G` (see
    `models.optimizer`). The loss of a mini-batch is

        loss_weighting "batch":  sum_b CE_b / rows of the mini-batch
        loss_weighting "row":    sum_b CE_b / B

    with `B` the configured batch size; mixed steps, whose tiles are no batches, always use "row".

    Args:
        model: built.
        settings: rule, rates, schedule, with a number for batch_size (`TrainingSettings.for_rows`).
        replicas: who makes the steps together; the model was built in their scope.
    """

    def __init__(self, model: DomainModel, settings: TrainingSettings, replicas: Replicas = ALONE) -> None:
        self._replicas = replicas
        self._model = model
        self._settings = settings
        self._variables = list(model.trainable_variables)
        roles = model.learning_rate_roles()
        scale = {"specific": 1.0, "shared": settings.shared_multiplier(model.domain_count)}
        with replicas.scope():
            self.optimizer = TwoRateOptimizer(
                self._variables,
                [(pattern, scale[role]) for pattern, role in roles],
                settings.learning_rate,
                settings.optimizer,
                learning_rate_schedule=settings.learning_rate_schedule,
                warmup=settings.warmup,
            )
        groups = settings.domains_per_step if settings.schedule in ("fused", "mixed") else 1
        self._groups = float(groups)
        shared = {"specific": 0.0, "shared": 1.0}
        self._is_shared = self.optimizer.values_of([(pattern, shared[role]) for pattern, role in roles])
        self._per_batch = settings.loss_weighting == "batch" and settings.schedule != "mixed"
        specs = {
            key: tf.TensorSpec([None, None, None, *shape], tf.int64 if key == "categorical" else tf.float32)
            for key, shape in model.layout.row_shapes().items()
        }
        cube = tf.TensorSpec([None, None, None], tf.float32)
        self._run = tf.function(
            self._steps,
            input_signature=[
                specs,
                tf.TensorSpec([None, None], tf.int32),
                cube,
                cube,
                tf.TensorSpec([None, 2], tf.float32),
            ],
            autograph=False,
        )

    def run(self, chunk: Chunk) -> tuple[float, float]:
        """Makes the chunk's steps; returns the sum of the rows' cross-entropies and the number of rows."""
        loss, rows = self._run(*chunk)
        return float(loss), float(rows)

    def _steps(
        self,
        rows: dict[str, tf.Tensor],
        domains: tf.Tensor,
        weights: tf.Tensor,
        labels: tf.Tensor,
        whole: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def one(k: tf.Tensor, loss: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = ({key: value[k] for key, value in rows.items()}, domains[k], weights[k])
            one_step = functools.partial(self._one, whole[k])
            return k + 1, loss + self._replicas.run(one_step, (batch, labels[k]))

        _, loss = tf.while_loop(
            lambda k, *_: k < tf.shape(domains)[0],
            one,
            (tf.constant(0), tf.constant(0.0)),
            parallel_iterations=1,
        )
        return loss, tf.reduce_sum(whole[:, 0])

    def _one(
        self,
        whole: tf.Tensor,
        batch_and_labels: tuple[tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        batch, labels = batch_and_labels
        weights = batch[2]
        counts = tf.reduce_sum(weights, axis=1)
        rows, present = tf.unstack(whole)
        divisor = present if self._per_batch and self._groups > 1 else self._groups
        with tf.GradientTape() as tape:
            logits = self._model(batch, training=True)
            entropies = weights * tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            batch_losses = tf.reduce_sum(entropies, axis=1)
            if self._per_batch:
                loss = tf.reduce_sum(tf.math.divide_no_nan(batch_losses, counts))
            else:
                loss = tf.reduce_sum(batch_losses) / float(self._settings.batch_size)
            if self._model.losses:
                # Penalties are means over the step's rows and on shared variables, whose gradient is divided.
                share = tf.math.divide_no_nan(tf.reduce_sum(counts), rows)
                loss += tf.add_n(self._model.losses) * divisor * share
        scales = [1.0 / divisor if shared else 1.0 for shared in self._is_shared]
        gradients, [step_loss] = of_whole_step(
            tape.gradient(loss, self._variables), [tf.reduce_sum(batch_losses)]
        )
        self.optimizer.apply(gradients, scales)
        return step_loss
