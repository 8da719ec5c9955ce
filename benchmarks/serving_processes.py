"""The processes that a serving benchmark measures: `dfei serve`, and the bare loop around an exported function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent


@contextmanager
def serving(base: Path, log: Path, batching: Path | None) -> Iterator[dict[str, str]]:
    """`dfei serve` in a process of its own; its addresses."""
    argument = "None" if batching is None else f"Path({str(batching)!r})"
    code = (
        "from pathlib import Path; from pipeline.serving.serve import serve;"
        f"serve(Path({str(base)!r}), rest_port=0, grpc_port=0, batching_parameters_file={argument})"
    )
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=HOUSE, stdout=sink, stderr=sink)
    try:
        deadline = time.monotonic() + 300
        while "gRPC" not in (text := log.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{text}")
            time.sleep(0.1)
        lines = [line.split() for line in text.splitlines()]
        yield {
            "http": next(line[1] for line in lines if line[:1] == ["REST"]).partition("/v1")[0],
            "grpc": next(line[1] for line in lines if line[:1] == ["gRPC"]).rstrip(","),
            "pid": str(process.pid),
        }
    finally:
        process.terminate()
        process.wait(60)


class Bare:
    """The bare loop in its own process."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving_bare", str(directory)],
            cwd=HOUSE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self._read()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the bare loop ended")
        return line

    def seconds(self, request: Path, calls: int) -> list[float]:
        """Seconds of each call with the serialized predict request of a file."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"request": str(request), "calls": calls}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._read())

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
