"""Synchronous data parallelism: several devices or processes make each training step together.

Each replica takes its part of a step's mini-batches. What a step computes over all its mini-batches is summed over
the replicas before anything moves: gradients (dense and sparse), the sums behind a domain's moving average, the
number of rows. Every replica then makes the same update on a copy of its own of each variable, so the copies stay
equal, and `N` replicas do what one does with the same steps, up to the order in which floats are added.

TensorFlow's strategies place the copies and carry the sums. Nothing here is done through the strategies' own
variable updates: those merge the replicas' values, whereas here equal sums already make equal values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from models.schedule import Step

_SUM = tf.distribute.ReduceOp.SUM


class Replicas:
    """Who trains together.

    Args:
        strategy: of TensorFlow, synchronous; None for one device that trains alone.
        workers: processes.
        worker: which of them this one is; 0 is the chief, which alone writes files.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, workers: int = 1, worker: int = 0
    ) -> None:
        self.strategy = strategy
        self.workers = workers
        self.worker = worker
        self.count = 1 if strategy is None else strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, logs and the model."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Variables that are made inside have a copy on every replica, all with the chief's first values."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def part(self, step: Step) -> Step:
        """This process's mini-batches of a step: every `workers`-th one.

        The step is filled up with empty mini-batches, so that every replica gets as many as any other.
        """
        if self.count == 1:
            return step
        missing = -len(step.domains) % self.count
        index = np.concatenate([np.arange(len(step.domains)), np.zeros(missing, int)])[
            self.worker :: self.workers
        ]
        weights = np.concatenate([step.weights, np.zeros((missing, step.weights.shape[1]), np.float32)])
        return Step(step.rows[index], weights[self.worker :: self.workers], step.domains[index])

    def run(self, function: Callable[..., Any], batch: Any) -> Any:
        """`function(batch)` on every replica of this process, each with its part of the batch along the first axis.

        Returns the first replica's result: a function that ends with sums over replicas has the same everywhere.
        """
        strategy = self.strategy
        if strategy is None:
            return function(batch)
        here = self.count // self.workers

        def own(value: tf.Tensor) -> tf.Tensor:
            size = tf.shape(value)[0] // here
            begin = _replica_id() % here * size
            return value[begin : begin + size]

        results = strategy.run(lambda whole: function(tf.nest.map_structure(own, whole)), (batch,))
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], results)

    def broadcast_from_chief(self, value: float) -> float:
        """The chief's value in every process; all wait for each other here.

        What decides the course of training must be one number for all: scores computed from equal weights may
        still differ in the last bit between machines.
        """
        if self.strategy is None or self.workers == 1:
            return value
        told = tf.constant(value if self.is_chief else 0.0, tf.float64)
        return float(self.strategy.reduce(_SUM, self.strategy.run(lambda: tf.identity(told)), axis=None)) / (
            self.count // self.workers
        )

    def barrier(self) -> None:
        """Waits until all processes are here."""
        self.broadcast_from_chief(0.0)


ALONE = Replicas()


@functools.cache
def mirrored() -> Replicas:
    """The GPUs of this machine, one replica each; without any, its (virtual) CPUs. One device trains alone.

    One strategy per process: those of a second one would number their messages as the first did.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return ALONE
    return Replicas(tf.distribute.MirroredStrategy([device.name for device in devices]))


@functools.cache
def multi_worker() -> Replicas:
    """The processes that `TF_CONFIG` lists. Must be called before TensorFlow does anything else in the process."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = len(jobs.get("chief", [])), len(jobs.get("worker", []))
    worker = int(resolver.task_id) + (chiefs if resolver.task_type == "worker" else 0)
    if chiefs + workers == 1:
        return ALONE
    return Replicas(strategy, chiefs + workers, worker)


def _replica_context() -> Any | None:
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _replica_id() -> int | tf.Tensor:
    context = _replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def is_replicated() -> bool:
    """Whether this is one replica of several: the slices that sparse gradients have must then be as many in each."""
    return _replica_context() is not None


def sums(values: Sequence[tf.Tensor | tf.IndexedSlices]) -> Sequence[tf.Tensor | tf.IndexedSlices]:
    """Each value summed over the replicas; gradients go through. Outside a replica, or alone: as they are."""
    context = _replica_context()
    return values if context is None else context.all_reduce(_SUM, list(values))


def all_groups(*values: tf.Tensor) -> Sequence[tf.Tensor]:
    """What every replica has for its own groups `(G, ...)`, for those of all `(N G, ...)`; gradients go through."""
    context = _replica_context()
    if context is None:
        return values
    count = context.num_replicas_in_sync
    place = tf.one_hot(context.replica_id_in_sync_group, count)

    def spread(value: tf.Tensor) -> tf.Tensor:
        shape = [count, *[1] * value.shape.rank]
        spread_out = value[None] * tf.cast(tf.reshape(place, shape), value.dtype)
        return tf.reshape(spread_out, tf.concat([[-1], tf.shape(value)[1:]], 0))

    # Numbers apart from indices: a gradient goes through a sum of all its inputs or of none.
    return [sums([spread(value)])[0] for value in values]


def own_groups(value: tf.Tensor) -> tf.Tensor:
    """The replica's own part `(G, ...)` of values for the groups of all `(N G, ...)`."""
    context = _replica_context()
    if context is None:
        return value
    size = tf.shape(value)[0] // context.num_replicas_in_sync
    begin = context.replica_id_in_sync_group * size
    return value[begin : begin + size]


def own_copy(variable: tf.Variable) -> tf.Variable:
    """The replica's copy of a variable, which it may move as it likes: with the same sums all move alike."""
    context = _replica_context()
    if context is None:
        return variable
    copies = context.strategy.experimental_local_results(variable)
    return copies[
        int(tf.get_static_value(tf.convert_to_tensor(context.replica_id_in_sync_group))) % len(copies)
    ]


def own_seed(seed: tf.Tensor) -> tf.Tensor:
    """A seed of the replica's own: the rows of two replicas are not to lose the same units."""
    return seed + tf.cast(_replica_id(), seed.dtype) * 1_000_003
