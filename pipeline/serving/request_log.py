"""A sample of the requests that were answered, in TensorFlow Serving's form: `PredictionLog`s in TFRecord files.

A request is never held up by its log: it is handed over to a thread, and dropped and counted where that has too much
to write. A disk that is full is said once, and the log goes on when there is room again.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.errors import InputError
from models.arrays import Array
from pipeline.client import tensors

log = logging.getLogger(__name__)

SUFFIX = ".tfrecord"
_WAITING_BYTES = 32 << 20
_FILE_BYTES = 64 << 20
_RETRY_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Answered:
    """A request and its answer.

    Attributes:
      model, version, signature: that answered.
      inputs, outputs: by name; inputs as the caller gave them.
      moment: when, in seconds of 1970.
    """

    model: str
    version: int
    signature: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    moment: float

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(map(_size, (*self.inputs.values(), *self.outputs.values())))


def _size(array: Array) -> int:
    return array.nbytes + (sum(map(len, array.ravel().tolist())) if array.dtype.kind == "O" else 0)


class RequestLog:
    """Writes a share of the answered requests.

    Args:
      folder: made where it is missing; every hour, every 64 MB and every server has a file of its own there.
      share: of the requests, in (0, 1].
      count: told what became of each sampled request: `written`, `dropped` or `failed`.
      waiting_bytes: of requests that wait to be written; above it they are dropped.

    Raises:
      InputError: the folder cannot be written.
    """

    def __init__(
        self, folder: Path, share: float, count: Callable[[str], None], waiting_bytes: int = _WAITING_BYTES
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--log-requests {folder}: {error.strerror}: give a folder that can be made"
            ) from None
        if not os.access(folder, os.W_OK):
            raise InputError(f"--log-requests {folder} is not writable: give another folder")
        self._folder, self._share, self._count = folder, share, count
        self._most = waiting_bytes
        self._random = random.Random()
        self._lock = threading.Lock()
        self._bytes = 0
        self._waiting: queue.SimpleQueue[Answered | None] = queue.SimpleQueue()
        self._writer: tf.io.TFRecordWriter | None = None
        self._hour, self._written, self._files = 0, 0, 0
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
        self._thread.start()

    def sampled(self) -> bool:
        """Whether the next request is one to log."""
        return self._random.random() < self._share

    def offer(self, answered: Answered) -> None:
        """Hands a request over to be written, or drops it."""
        size = answered.size
        with self._lock:
            fits = self._bytes + size <= self._most
            if fits:
                self._bytes += size
        if fits:
            self._waiting.put(answered)
        else:
            self._count("dropped")

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._waiting.put(None)
        self._thread.join(10.0)

    def _run(self) -> None:
        while (answered := self._waiting.get()) is not None:
            self._count(self._attempt(answered))
            with self._lock:
                self._bytes -= answered.size
        self._close()

    def _attempt(self, answered: Answered) -> str:
        if self._failed_at is not None and time.monotonic() - self._failed_at < _RETRY_SECONDS:
            return "failed"
        try:
            self._write(answered)
        except (OSError, tf.errors.OpError) as error:
            if self._failed_at is None:
                log.warning(
                    "requests cannot be logged in %s: %s; they are answered all the same", self._folder, error
                )
            self._failed_at = time.monotonic()
            self._close()
            return "failed"
        if self._failed_at is not None:
            log.info("requests are logged in %s again", self._folder)
            self._failed_at = None
        return "written"

    def _write(self, answered: Answered) -> None:
        record = prediction_log(answered, self._share)
        hour = int(answered.moment) // 3600
        if self._writer is None or hour != self._hour or self._written > _FILE_BYTES:
            self._close()
            self._files += 1
            name = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(answered.moment))
            path = self._folder / f"requests-{name}-{os.uname().nodename}-{os.getpid()}-{self._files}{SUFFIX}"
            self._writer, self._hour, self._written = tf.io.TFRecordWriter(str(path)), hour, 0
        self._writer.write(record)
        self._written += len(record)
        if self._waiting.empty():
            self._writer.flush()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except (OSError, tf.errors.OpError) as error:
                log.debug("closing: %s", error)


def prediction_log(answered: Answered, share: float) -> bytes:
    """A request and its answer as TensorFlow Serving logs a `Predict`."""
    record = prediction_log_pb2.PredictionLog()
    metadata, written = record.log_metadata, record.predict_log
    metadata.sampling_config.sampling_rate = share
    metadata.timestamp_secs = int(answered.moment)
    for spec in (metadata.model_spec, written.request.model_spec, written.response.model_spec):
        spec.name = answered.model
        spec.version.value = answered.version
        spec.signature_name = answered.signature
    for name, array in answered.inputs.items():
        tensors.fill(written.request.inputs[name], array)
    for name, array in answered.outputs.items():
        tensors.fill(written.response.outputs[name], array)
    serialized: bytes = record.SerializeToString()
    return serialized
