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
from models.segment_sum import distinct

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
        """This process's mini-batches of a step: every `workers`-th one, the fullest first.

        The step is filled up with empty mini-batches, so that every replica gets as many as any other.
        """
        if self.count == 1:
            return step
        missing = -len(step.domains) % self.count
        fullest_first = np.argsort(-step.weights.sum(1), kind="stable")
        index = np.concatenate([fullest_first, np.zeros(missing, int)])
        weights = np.concatenate(
            [step.weights[fullest_first], np.zeros((missing, step.weights.shape[1]), np.float32)]
        )
        own = slice(self.worker, None, self.workers)
        return Step(step.rows[index[own]], weights[own], step.domains[index[own]])

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


def sums(values: Sequence[tf.Tensor | tf.IndexedSlices]) -> Sequence[tf.Tensor | tf.IndexedSlices]:
    """Each value summed over the replicas; gradients go through. Outside a replica, or alone: as they are."""
    context = _replica_context()
    return values if context is None else context.all_reduce(_SUM, list(values))


def of_whole_step(
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None], numbers: Sequence[tf.Tensor]
) -> tuple[list[tf.Tensor | tf.IndexedSlices | None], list[tf.Tensor]]:
    """Gradients, and other numbers, summed over the replicas; None stays None. Outside a replica, or alone: as they
    are.

    However many gradients there are, the dense ones and the numbers travel in one message, the sparse ones, no index of
    which is named twice, in another: each message costs a third of a millisecond.
    """
    context = _replica_context()
    whole, others = list(gradients), list(numbers)
    if context is None:
        return whole, others
    sparse = [i for i, gradient in enumerate(whole) if isinstance(gradient, tf.IndexedSlices)]
    dense = [i for i, gradient in enumerate(whole) if gradient is not None and i not in sparse]
    reduced = sums([*(whole[i] for i in dense), *others])
    for i, gradient in zip(dense, reduced, strict=False):
        whole[i] = gradient
    if sparse:
        own = [distinct(whole[i]) for i in sparse]
        told = context.all_gather(_packed(own), 0)
        for i, gradient in zip(sparse, _unpacked(told, own, context.num_replicas_in_sync), strict=True):
            whole[i] = gradient
    return whole, list(reduced[len(dense) :])


def _packed(gradients: Sequence[tf.IndexedSlices]) -> tf.Tensor:
    """Sizes, indices and values as one vector. Integers travel as the bits of floats, which nothing reckons with."""
    sizes = tf.stack([tf.size(gradient.indices) for gradient in gradients])
    integers = tf.concat([sizes, *(tf.cast(gradient.indices, tf.int32) for gradient in gradients)], 0)
    values = [tf.reshape(gradient.values, [-1]) for gradient in gradients]
    return tf.concat([tf.bitcast(integers, tf.float32), *values], 0)


def _unpacked(told: tf.Tensor, own: Sequence[tf.IndexedSlices], count: int) -> list[tf.IndexedSlices]:
    """The slices of so many vectors that follow each other, one's after another's."""
    widths = [gradient.values.shape[1:].num_elements() for gradient in own]
    found: list[list[tf.Tensor]] = []
    for _ in range(count):
        sizes = tf.bitcast(told[: len(own)], tf.int32)
        parts = tf.concat([[len(own)], sizes, sizes * widths], 0)
        parts = tf.concat([parts, [tf.size(told) - tf.reduce_sum(parts)]], 0)
        _, *pieces, told = tf.split(told, parts, num=2 * len(own) + 2)
        found.append(pieces)
    whole = []
    for i, gradient in enumerate(own):
        indices = tf.bitcast(tf.concat([pieces[i] for pieces in found], 0), tf.int32)
        values = tf.concat([pieces[len(own) + i] for pieces in found], 0)
        values = tf.reshape(values, [-1, *gradient.values.shape[1:]])
        whole.append(tf.IndexedSlices(values, tf.cast(indices, gradient.indices.dtype), gradient.dense_shape))
    return whole


def all_groups(*values: tf.Tensor) -> Sequence[tf.Tensor]:
    """What every replica has for its own groups `(G, ...)`, for those of all `(N G, ...)`; gradients go through.

    Integers must be below 2^24: all values travel in one message, of float32.
    """
    context = _replica_context()
    if context is None:
        return values
    count = context.num_replicas_in_sync
    place = tf.one_hot(context.replica_id_in_sync_group, count)
    flat = [tf.cast(tf.reshape(value, [tf.shape(value)[0], -1]), tf.float32) for value in values]
    joined = tf.concat(flat, 1)
    [spread] = sums([joined[None] * place[:, None, None]])
    spread = tf.reshape(spread, [-1, tf.shape(joined)[1]])
    parts = tf.split(spread, [tf.shape(part)[1] for part in flat], axis=1)
    return [
        tf.cast(tf.reshape(part, tf.concat([[-1], tf.shape(value)[1:]], 0)), value.dtype)
        for part, value in zip(parts, values, strict=True)
    ]


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


def slices_of(variable: tf.Variable, index: tf.Tensor) -> tf.Tensor:
    """`tf.gather` on the replica's copy: one of a variable that replicas share would first copy the whole of it."""
    return tf.gather(own_copy(variable), index)


def own_seed(seed: tf.Tensor) -> tf.Tensor:
    """A seed of the replica's own: the rows of two replicas are not to lose the same units."""
    return seed + tf.cast(_replica_id(), seed.dtype) * 1_000_003
