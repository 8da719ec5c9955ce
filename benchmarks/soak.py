"""A server under everything at once, for as long as asked: `python -m benchmarks.soak --minutes 60`, or `make soak`.

`dfei serve` serves an untrained DFEI. Good requests come from a few callers over both protocols, one after the other,
as fast as they are answered; beside them strangers send what is too much, broken, slow or wordy, and a new version is
pushed every minute. It ends with exit code 1 where a good request failed, the server ended, or its memory at the end is
more than a tenth above that after five switches (or all, where there were fewer).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import grpc
import numpy as np
import psutil
import typer
from rich.console import Console

from benchmarks.serving import NAME, push
from benchmarks.serving_model import feature_columns, save_model
from benchmarks.serving_processes import serving
from pipeline.client import NO_RETRIES, CallError, connect
from pipeline.client.messages import PREDICTION_SERVICE, SERVING

ROWS = (1, 1, 1, 8, 64)
DOMAINS = 21


@dataclasses.dataclass
class Tally:
    """What callers saw; filled by many threads.

    Attributes:
      milliseconds: of good requests.
      failed: what good requests failed with, and how often.
      strangers: what was sent beside them, and how often.
    """

    milliseconds: list[float] = dataclasses.field(default_factory=list)
    failed: Counter[str] = dataclasses.field(default_factory=Counter)
    strangers: Counter[str] = dataclasses.field(default_factory=Counter)


def good(url: str, tally: Tally, stop: threading.Event) -> None:
    """Asks, without retries, until it is told to stop."""
    requests = [feature_columns(rows, DOMAINS, seed) for seed, rows in enumerate(ROWS)]
    with connect(url, NAME, 60.0, NO_RETRIES) as client:
        number = 0
        while not stop.is_set():
            number += 1
            columns = requests[number % len(requests)]
            begun = time.monotonic()
            try:
                scores = client.predict(columns)["click_probability"]
            except CallError as error:
                tally.failed[f"{error.code.name}: {error}"[:200]] += 1
                continue
            tally.milliseconds.append(1e3 * (time.monotonic() - begun))
            if not np.isfinite(scores).all() or len(scores) != len(columns["domain"]):
                tally.failed["a wrong answer"] += 1


def too_much(addresses: dict[str, str]) -> None:
    """One repeated value for sixteen million rows."""
    message = SERVING["PredictRequest"]()
    message.model_spec.name = NAME
    tensor = message.inputs["domain"]
    tensor.dtype = 9
    tensor.tensor_shape.dim.add().size = 1 << 24
    tensor.int64_val.append(7)
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        channel.unary_unary(f"/{PREDICTION_SERVICE}/Predict")(message.SerializeToString(), timeout=10)


def garbage(addresses: dict[str, str]) -> None:
    """Bytes that are no request, over gRPC."""
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        channel.unary_unary(f"/{PREDICTION_SERVICE}/Predict")(os.urandom(1000), timeout=10)


def _http(addresses: dict[str, str], *parts: bytes, pause: float = 0.0) -> None:
    host, port = addresses["http"].rpartition("/")[2].split(":")
    with contextlib.closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        while connection.recv(65_536):
            pass


_HEAD = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()


def no_json(addresses: dict[str, str]) -> None:
    """A body that is none."""
    _http(addresses, _HEAD + b'Content-Length: 9\r\n\r\n{"inputs"')


def tiny_chunks(addresses: dict[str, str]) -> None:
    """A body in chunks of one byte."""
    _http(addresses, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n" * 1000] * 20)


def two_lengths(addresses: dict[str, str]) -> None:
    """A body with a length and chunks."""
    _http(addresses, _HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def large(addresses: dict[str, str]) -> None:
    """A body beyond the limit."""
    _http(addresses, _HEAD + b"Content-Length: %d\r\n\r\n" % (32 << 20), *[b"x" * (1 << 20)] * 32)


def slow(addresses: dict[str, str]) -> None:
    """A body that comes byte by byte, and then no more."""
    _http(addresses, _HEAD + b"Content-Length: 100\r\n\r\n", *[b"x"] * 20, pause=0.2)


def gone(addresses: dict[str, str]) -> None:
    """A caller that leaves in the middle of its request."""
    host, port = addresses["http"].rpartition("/")[2].split(":")
    with contextlib.closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall(_HEAD + b"Content-Length: 100000\r\n\r\n{")


STRANGERS: tuple[Callable[[dict[str, str]], None], ...] = (
    too_much,
    garbage,
    no_json,
    tiny_chunks,
    two_lengths,
    large,
    slow,
    gone,
)


def stranger(addresses: dict[str, str], first: int, tally: Tally, stop: threading.Event) -> None:
    """Sends one bad request after the other, whatever is answered."""
    number = first
    while not stop.is_set():
        send = STRANGERS[number % len(STRANGERS)]
        number += 1
        with contextlib.suppress(OSError, grpc.RpcError):
            send(addresses)
        tally.strangers[send.__name__] += 1
        stop.wait(0.05)


def _peak_megabytes(pid: int) -> int:
    """The kernel's high-water mark: what two versions take while both are in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10


def main(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long.")] = 60.0,
    callers: Annotated[int, typer.Option(min=1, help="Of good requests, of each protocol.")] = 2,
    strangers: Annotated[int, typer.Option(min=0, help="Of bad ones.")] = 3,
    switch_seconds: Annotated[float, typer.Option(help="Between two versions.")] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Mixed good and bad requests, new versions, slow and broken clients: no good request may fail."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tally, stop, console = Tally(), threading.Event(), Console()
    memory: list[int] = []
    with tempfile.TemporaryDirectory() as scratch:
        model, base = save_model(Path(scratch) / "model", DOMAINS), Path(scratch) / NAME
        base.mkdir()
        push(model, base, 1)
        with serving(base, Path(scratch) / "server.log", None) as addresses:
            server = psutil.Process(int(addresses["pid"]))
            urls = [f"grpc://{addresses['grpc']}", addresses["http"]] * callers
            threads = [threading.Thread(target=good, args=(url, tally, stop)) for url in urls]
            threads += [
                threading.Thread(target=stranger, args=(addresses, 3 * number, tally, stop))
                for number in range(strangers)
            ]
            for thread in threads:
                thread.start()
            begun, version = time.monotonic(), 1
            while time.monotonic() - begun < 60 * minutes and server.is_running():
                pause = min(switch_seconds, max(60 * minutes - (time.monotonic() - begun), 1))
                time.sleep(pause)
                # What is left of the time may be too short for the version before to be closed.
                if pause == switch_seconds or not memory:
                    memory.append(server.memory_info().rss >> 20)
                version += 1
                push(model, base, version)
                if version > 2:
                    shutil.rmtree(base / str(version - 2))
            stop.set()
            for thread in threads:
                thread.join()
            alive = server.is_running()
            peak = _peak_megabytes(server.pid)
        log = (Path(scratch) / "server.log").read_text()
    times = np.array(tally.milliseconds or [0.0])
    p50, p99, worst = np.percentile(times, [50, 99, 100])
    from_then = memory[min(4, len(memory) - 1)]
    report = {
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "cpus": os.cpu_count(),
        "good": len(tally.milliseconds),
        "failed": sum(tally.failed.values()),
        "bad": dict(tally.strangers),
        "switches": version - 1,
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "worst_ms": round(worst),
        "memory_mb": memory,
        "peak_memory_mb": peak,
    }
    console.print_json(json.dumps(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2))
    level = memory[-1] <= 1.1 * from_then
    if tally.failed or not alive or not level:
        console.print(log[-3000:], highlight=False, markup=False)
        console.print(f"failed: {dict(tally.failed)}; alive: {alive}; memory level: {level}", highlight=False)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
