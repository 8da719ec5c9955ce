"""Beam's servers for worker processes of this machine, heard on this machine alone.

Where a job has several processes, Beam opens four ports for them on every network of the machine. They ask nobody who
he is, and what they are told is unpickled.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import grpc

_EVERYWHERE, _HERE = "[::]:", "localhost:"


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Inside the block the ports that Beam's local runner opens are `localhost`'s."""
    # Not before a job of Beam's needs them.
    from apache_beam.runners.portability import local_job_service
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    here = types.ModuleType(grpc.__name__)
    vars(here).update(vars(grpc), server=_server)
    before = [(module, module.grpc) for module in (local_job_service, worker_handlers)]
    for module, _ in before:
        module.grpc = here
    external = worker_handlers.ExternalWorkerHandler
    name, external.host_from_worker = external.host_from_worker, lambda _: "localhost"
    try:
        yield
    finally:
        external.host_from_worker = name
        for module, usual in before:
            module.grpc = usual


def _server(*args: Any, **kwargs: Any) -> grpc.Server:
    made = grpc.server(*args, **kwargs)
    add = made.add_insecure_port

    def add_here(address: str) -> int:
        return int(add(address.replace(_EVERYWHERE, _HERE)))

    made.add_insecure_port = add_here
    return made
