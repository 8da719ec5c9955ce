"""Dynamic batching: requests for the same signature are computed together.

A queue per version, signature and inner tensor shapes holds batches that fill up to `max_batch_size` rows. A batch
is due when it is full or when its first request has waited for `batch_timeout_micros`; `num_batch_threads` threads
take due batches from the queues in turn. The parameters and the answers to callers are those of TensorFlow Serving
(tensorflow_serving/batching), with two differences in favour of callers: requests that do not fit together because
inner sizes differ are computed separately instead of being refused, and when a batch fails each of its requests is
computed by itself, so that one bad request does not fail its neighbours.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import numpy as np

from models.arrays import Array
from pipeline.serving.config_files import BatchingParameters
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.metrics import Metrics
from pipeline.serving.runners import Arrays, DirectRunner, too_late
from pipeline.serving.saved_model import LoadedModel, ServedSignature
from pipeline.serving.settings import Limits

log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Task:
    inputs: Arrays
    rows: int
    predictions: int
    deadline: float | None
    queued: float
    answer: Future[dict[str, Array]] = dataclasses.field(default_factory=Future)


@dataclasses.dataclass
class _Batch:
    model: LoadedModel
    signature: ServedSignature
    opened: float
    tasks: list[_Task] = dataclasses.field(default_factory=list)
    rows: int = 0
    predictions: int = 0


_Key = tuple[int, str, tuple[tuple[int, ...], ...]]


class Batcher:
    """Computes requests in batches. A `Runner`.

    Args:
      parameters: how.
      running: requests computed at the same time that cannot be batched, because their inputs differ in rows.
      metrics: where batches are counted.
      predictions: most of one batch: a ranking request is one row, and may ask for thousands.
    """

    def __init__(
        self,
        parameters: BatchingParameters,
        running: int,
        metrics: Metrics,
        predictions: int = Limits.predictions,
    ) -> None:
        self._parameters = parameters
        self._predictions = predictions
        self._limit = (
            parameters.max_execution_batch_size if parameters.split_large else parameters.max_batch_size
        )
        self._direct = DirectRunner(running)
        self._metrics = metrics
        self._change = threading.Condition()
        self._queues: OrderedDict[_Key, deque[_Batch]] = OrderedDict()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True)
            for number in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self, model: LoadedModel, signature: ServedSignature, inputs: Arrays, deadline: float | None
    ) -> dict[str, Array]:
        """See `Runner.run`.

        Raises:
          RequestError: INVALID_ARGUMENT, it has more rows than `max_batch_size`; UNAVAILABLE, the queue is full.
        """
        inputs, rows, even = _even(signature, inputs)
        if rows > self._parameters.max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size {self._parameters.max_batch_size}"
            )
        if not even or not rows:
            return self._direct.run(model, signature, inputs, deadline)
        tasks = [
            _Task(part, size, _predictions(signature, part), deadline, time.monotonic())
            for part, size in _parts(inputs, rows, self._limit)
        ]
        self._enqueue(model, signature, tasks)
        answers = [_wait(task) for task in tasks]
        if len(answers) == 1:
            return answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def stop(self) -> None:
        """See `Runner.stop`."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _enqueue(self, model: LoadedModel, signature: ServedSignature, tasks: Sequence[_Task]) -> None:
        shapes = tuple(tasks[0].inputs[port.name].shape[1:] for port in signature.inputs)
        key: _Key = (id(model), signature.name, shapes)
        with self._change:
            queue = self._queues.get(key, deque())
            fits = bool(queue) and self._joins(tasks[0], queue[-1])
            if len(queue) + len(tasks) - fits > self._parameters.max_enqueued_batches:
                raise RequestError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            self._queues[key] = queue
            for task in tasks:
                if not queue or not self._joins(task, queue[-1]):
                    queue.append(_Batch(model, signature, task.queued))
                queue[-1].tasks.append(task)
                queue[-1].rows += task.rows
                queue[-1].predictions += task.predictions
            self._change.notify()

    def _joins(self, task: _Task, batch: _Batch) -> bool:
        return (
            batch.rows + task.rows <= self._limit
            and batch.predictions + task.predictions <= self._predictions
        )

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._compute(batch)
            except Exception:
                # A batch thread outlives every request: the others would wait for it for ever.
                log.exception("a batch failed")
                for task in batch.tasks:
                    if not task.answer.done():
                        task.answer.set_exception(RequestError(Code.INTERNAL, "the batch failed"))

    def _next(self) -> _Batch | None:
        with self._change:
            while True:
                now, wait = time.monotonic(), None
                for key, queue in self._queues.items():
                    due = queue[0].opened + self._parameters.batch_timeout_seconds
                    if len(queue) > 1 or queue[0].rows >= self._limit or due <= now or self._stopping:
                        return self._take(key)
                    wait = due - now if wait is None else min(wait, due - now)
                if self._stopping:
                    return None
                self._change.wait(wait)

    def _take(self, key: _Key) -> _Batch:
        queue = self._queues[key]
        batch = queue.popleft()
        if queue:
            self._queues.move_to_end(key)
            self._change.notify()
        else:
            del self._queues[key]
        return batch

    def _compute(self, batch: _Batch) -> None:
        now = time.monotonic()
        tasks = []
        for task in batch.tasks:
            if not task.answer.set_running_or_notify_cancel():
                continue
            if task.deadline is not None and task.deadline <= now:
                task.answer.set_exception(too_late())
            else:
                tasks.append(task)
        if not tasks:
            return
        try:
            answers = self._together(batch, tasks)
        except RequestError as error:
            if len(tasks) == 1:
                tasks[0].answer.set_exception(error)
                return
            for task in tasks:
                self._alone(batch, task)
            return
        self._metrics.batch(sum(task.rows for task in tasks), [now - task.queued for task in tasks])
        for task, answer in zip(tasks, answers, strict=True):
            task.answer.set_result(answer)

    def _alone(self, batch: _Batch, task: _Task) -> None:
        try:
            task.answer.set_result(batch.model.run(batch.signature, task.inputs))
        except RequestError as error:
            task.answer.set_exception(error)

    def _together(self, batch: _Batch, tasks: Sequence[_Task]) -> list[dict[str, Array]]:
        rows = sum(task.rows for task in tasks)
        padded = next((size for size in self._parameters.allowed_batch_sizes if size >= rows), rows)
        if padded * max(task.predictions // task.rows for task in tasks) > self._predictions:
            padded = rows
        inputs = {
            port.name: _concatenate([task.inputs[port.name] for task in tasks], padded - rows)
            for port in batch.signature.inputs
        }
        outputs = batch.model.run(batch.signature, inputs)
        if len(tasks) == 1 and padded == rows:
            return [outputs]
        if any(array.ndim == 0 or len(array) != padded for array in outputs.values()):
            raise RequestError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                "the input tensors",
            )
        ends = np.cumsum([task.rows for task in tasks]).tolist()
        return [
            {name: array[end - task.rows : end] for name, array in outputs.items()}
            for task, end in zip(tasks, ends, strict=True)
        ]


def _wait(task: _Task) -> dict[str, Array]:
    left = None if task.deadline is None else max(task.deadline - time.monotonic(), 0)
    try:
        return task.answer.result(left)
    except FutureTimeoutError as error:
        task.answer.cancel()
        raise too_late() from error


def _predictions(signature: ServedSignature, inputs: Arrays) -> int:
    return signature.predictions({name: array.shape for name, array in inputs.items()})


def _even(signature: ServedSignature, inputs: Arrays) -> tuple[Arrays, int, bool]:
    """The inputs, the rows of the one that has most, and whether all have so many.

    A default of one row, of an input that was left out, is repeated for every row.
    """
    left_out = {
        name
        for name, default in signature.defaults.items()
        if inputs[name] is default and default.shape[:1] == (1,)
    }
    sizes = {len(array) if array.ndim else 0 for name, array in inputs.items() if name not in left_out}
    if len(sizes) > 1:
        return inputs, max(sizes), False
    rows = sizes.pop() if sizes else 1
    if left_out and rows > 1:
        inputs = {
            name: np.repeat(array, rows, axis=0) if name in left_out else array
            for name, array in inputs.items()
        }
    return inputs, rows, True


def _parts(inputs: Arrays, rows: int, limit: int) -> list[tuple[Arrays, int]]:
    if rows <= limit:
        return [(inputs, rows)]
    return [
        ({name: array[start : start + limit] for name, array in inputs.items()}, min(limit, rows - start))
        for start in range(0, rows, limit)
    ]


def _concatenate(arrays: Sequence[Array], padding: int) -> Array:
    if padding:
        arrays = [*arrays, np.repeat(arrays[0][:1], padding, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
