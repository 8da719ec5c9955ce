"""Beam's own job service with Flink's bad sides: `python -m tests.engines.adversary --port=... --staging_dir=...`

Every harness is called "1-1", a task manager that is done with its own says so while another works, and a record that
does not fit into the memory that Flink sorts with fails the job. That memory is far smaller than Flink's, so that
few rows show a record that grows with them.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

import grpc
from apache_beam.coders.coder_impl import create_InputStream
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.portability import local_job_service_main
from apache_beam.runners.portability.fn_api_runner import execution, worker_handlers

from components.loopback import on_loopback

SAME = "1-1"
LARGEST = 16 << 10
_STOPPED_AFTER = 1.0


class TooLargeError(RuntimeError):
    """As Flink says it."""


def _call_them_the_same() -> None:
    made = worker_handlers.WorkerHandler.__init__

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self.worker_id = SAME

    worker_handlers.WorkerHandler.__init__ = make


def _stop_the_others() -> None:
    start = worker_handlers.ExternalWorkerHandler.start_worker

    def stop(pool: str) -> None:
        with grpc.insecure_channel(pool) as channel:
            stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
            stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=SAME))

    def start_and_stop(self: Any) -> None:
        start(self)
        threading.Timer(_STOPPED_AFTER, stop, [self._external_payload.endpoint.url]).start()

    worker_handlers.ExternalWorkerHandler.start_worker = start_and_stop


def _refuse_large_records() -> None:
    append = execution.GroupingBuffer.append
    largest = 0

    def measured(self: Any, elements: bytes) -> None:
        nonlocal largest
        stream, coder = create_InputStream(elements), self._pre_grouped_coder.get_impl()
        left = stream.size()
        while left > 0:
            coder.decode_from_stream(stream, True)
            left, size = stream.size(), left - stream.size()
            if size > LARGEST:
                raise TooLargeError(f"Record too large: {size} bytes")
            if size > largest:
                largest = size
                logging.info("largest record: %d bytes", largest)
        append(self, elements)

    execution.GroupingBuffer.append = measured


def main() -> None:
    """Serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.INFO)
    _call_them_the_same()
    _stop_the_others()
    _refuse_large_records()
    with on_loopback():
        local_job_service_main.run(sys.argv[1:])


if __name__ == "__main__":
    main()
