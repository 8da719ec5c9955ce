"""SDK harnesses, forked from one process that has imported what they need.

An engine asks for a new harness at each stage of a job, and importing TensorFlow, Beam and TFX takes longer than most
stages do. So one process imports them once, and each harness is a fork of it, there in a moment and sharing its memory.
It starts no thread of Python and opens no channel, so that a fork has all that it needs.

    python -m pipeline.harness FD MODULE ...     (started by `pipeline.worker_pool`, which holds the other end of FD)
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

_LOG = logging.getLogger("dfei.harness")
# What the functions of our components and of TFX's need. Not polars, which starts threads when it is imported.
PRELOADED = (
    "components",
    "apache_beam.runners.worker.sdk_worker_main",
    "tensorflow",
    "tensorflow_transform.beam",
    "tensorflow_data_validation",
    "components.transform.passes",
    "components.evaluator.scoring",
)
_POLL_SECONDS = 0.5
# What runs when the control channel closes has this long to end.
_GRACE_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Imports the modules, then forks a harness for every line of JSON that comes, until the other end closes."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(process)d %(message)s")
    # Ctrl-C at a terminal reaches the whole group: the pool decides when its harnesses end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in arguments[1:]:
        try:
            importlib.import_module(name)
        except ImportError as error:
            _LOG.warning("%s cannot be imported ahead: %s", name, error)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(arguments[0])) as pool:
        _serve(pool)
    return 0


def _serve(pool: socket.socket) -> None:
    waiting, running = b"", 0
    while True:
        ready, _, _ = select.select([pool], [], [], _POLL_SECONDS if running else None)
        if ready:
            received = pool.recv(1 << 16)
            if not received:
                return  # the pool is gone, and its harnesses go with this process
            waiting += received
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                request = json.loads(line)
                process = _fork(request, pool)
                running += 1
                _tell(pool, started=request["number"], process=process)
        while running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                break
            running -= 1
            _tell(pool, ended=process, code=os.waitstatus_to_exitcode(status))


def _tell(pool: socket.socket, **message: int) -> None:
    pool.sendall(json.dumps(message).encode() + b"\n")


def _fork(request: dict[str, Any], pool: socket.socket) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        pool.close()
        # Nobody else ends a harness whose pool was killed.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _seed()
        run_harness(request)
        code = 0
    except BaseException:
        _LOG.exception("harness %s of %s ended", request["worker_id"], request["control"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Native threads of the libraries may abort while the interpreter shuts down.
        os._exit(code)


def _seed() -> None:
    """Forks of one process would draw the same numbers."""
    import numpy as np

    np.random.seed()


def run_harness(request: dict[str, Any]) -> None:
    """Is a harness until its control channel closes, as Beam's container is one.

    Args:
      request: addresses `control`, `logging` and `provision` of the engine, and the `worker_id` that it gave.
    """
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from apache_beam.runners.worker import sdk_worker_main
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
    from google.protobuf import json_format

    name = request["worker_id"]
    environment = {"WORKER_ID": name, "SEMI_PERSISTENT_DIRECTORY": tempfile.gettempdir()}
    control, log = request["control"], request["logging"]
    if request["provision"]:
        with grpc.insecure_channel(request["provision"]) as channel:
            stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(
                grpc.intercept_channel(channel, WorkerIdInterceptor(name))
            )
            asked = beam_provision_api_pb2.GetProvisionInfoRequest()
            info = stub.GetProvisionInfo(asked, timeout=60, wait_for_ready=True).info
        environment["PIPELINE_OPTIONS"] = json_format.MessageToJson(info.pipeline_options)
        environment["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
        control = info.control_endpoint.url or control
        log = info.logging_endpoint.url or log
    environment["CONTROL_API_SERVICE_DESCRIPTOR"] = f'url: "{control}"'
    if log:
        environment["LOGGING_API_SERVICE_DESCRIPTOR"] = f'url: "{log}"'
    handler, harness, _ = sdk_worker_main.create_harness(environment)
    threading.Thread(target=_end_with_channel, args=(harness,), daemon=True).start()
    logging.getLogger("dfei.harness").warning(
        "harness %s of %s: process %d on %s", name, control, os.getpid(), socket.gethostname()
    )
    try:
        harness.run()
    finally:
        if handler is not None:
            handler.close()


def _end_with_channel(harness: Any) -> None:
    """Ends the process when its control channel is closed and what it was doing does not end."""
    while getattr(harness, "_alive", True):
        time.sleep(1.0)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
