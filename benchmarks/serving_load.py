"""An open-loop load: requests are sent when they are due, whether or not the ones before have been answered.

A closed loop sends the next request after the last answer: when the server stalls, so does the load, and the stall
counts as one slow request. Here every request that was due during a stall counts, from the moment it was due.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np

from models.arrays import Array
from pipeline.client.messages import PREDICTION_SERVICE, SERVING


@dataclass
class LoadReport:
    """What became of a load. Times are in milliseconds, from when a request was due to its answer."""

    requests: int
    failed: int
    rate: float
    rows_per_second: float
    p50: float
    p95: float
    p99: float
    worst: float
    errors: list[str] = field(default_factory=list)


class _Outcomes:
    def __init__(self, requests: int) -> None:
        self.seconds = np.full(requests, np.nan)
        self.errors: list[str] = []
        self._left = requests
        self._done = threading.Condition()

    def arrived(self, number: int, due: float, call: grpc.Future) -> None:
        now = time.perf_counter()
        error = call.exception()
        with self._done:
            if error is None:
                self.seconds[number] = now - due
            else:
                self.errors.append(f"{call.code().name}: {call.details()}")
            self._left -= 1
            if not self._left:
                self._done.notify_all()

    def wait(self, seconds: float) -> None:
        with self._done:
            self._done.wait_for(lambda: not self._left, seconds)


def encode(model: str, columns: Mapping[str, Array], signature: str = "") -> bytes:
    """A serialized predict request."""
    from pipeline.client import tensors

    request = SERVING["PredictRequest"]()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, column in columns.items():
        tensors.fill(request.inputs[name], column)
    return request.SerializeToString()


def open_loop(
    target: str,
    requests: Sequence[bytes],
    rows: int,
    rate: float,
    count: int,
    at: Mapping[int, Callable[[], None]] | None = None,
    connections: int = 4,
) -> LoadReport:
    """Sends `count` requests at a fixed rate, without retries.

    Args:
      target: `HOST:PORT` of the gRPC server.
      requests: serialized, taken in turn.
      rows: of each.
      rate: requests a second.
      count: how many.
      at: things to do when so many requests have been sent, on a thread of their own.
      connections: to the server, used in turn.
    """
    outcomes = _Outcomes(count)
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Channels to the same address share a connection otherwise.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(target, options)) for _ in range(connections)]
        predicts = [channel.unary_unary(f"/{PREDICTION_SERVICE}/Predict") for channel in channels]
        begun = time.perf_counter() + 0.05
        for number in range(count):
            due = begun + number / rate
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            if at and number in at:
                threading.Thread(target=at[number]).start()
            predict = predicts[number % connections]
            call = predict.future(requests[number % len(requests)], timeout=60)
            call.add_done_callback(lambda done, number=number, due=due: outcomes.arrived(number, due, done))
        outcomes.wait(90)
        seconds = time.perf_counter() - begun
    answered = outcomes.seconds[~np.isnan(outcomes.seconds)] * 1e3
    p50, p95, p99 = np.percentile(answered, [50, 95, 99]).tolist() if len(answered) else [np.nan] * 3
    return LoadReport(
        requests=count,
        failed=count - len(answered),
        rate=rate,
        rows_per_second=len(answered) * rows / seconds,
        p50=p50,
        p95=p95,
        p99=p99,
        worst=float(answered.max()) if len(answered) else float("nan"),
        errors=sorted(set(outcomes.errors))[:10],
    )
