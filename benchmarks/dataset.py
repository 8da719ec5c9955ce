"""Time and peak memory of `dfei dataset new` and `dfei dataset check` on a log written as a stream.

Example: `python -m benchmarks.dataset --rows 10000000 --json dataset.json`
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

_BLOCK = 500_000
_DAYS = 30
_START_MS = 1_704_067_200_000  # 1 January 2024


def write_log(path: Path, rows: int, seed: int = 0) -> None:
    """A click log with twelve columns, a block at a time: identifiers, texts, lists, numbers with gaps, behaviour."""
    rng = np.random.default_rng(seed)
    users, items = max(1_000, rows // 20), max(1_000, rows // 100)
    with path.open("wb") as stream:
        for start in range(0, rows, _BLOCK):
            size = min(_BLOCK, rows - start)
            item = (items * rng.random(size) ** 2).astype(np.int64)
            click = (rng.random(size) < 0.1 + 0.2 * (item % 3 == 0)).astype(np.int8)
            at = _START_MS + ((start + np.arange(size)) / rows * _DAYS * 86_400_000).astype(np.int64)
            frame = pl.DataFrame(
                {
                    "event_ms": at,
                    "visitor": rng.integers(0, users, size),
                    "product": item,
                    "section": pl.Series(rng.integers(0, 40, size)).cast(pl.String),
                    "device": rng.choice(["phone", "tablet", "desktop"], size),
                    "city": pl.Series(rng.integers(0, 5_000, size)).cast(pl.String),
                    "tags": [f"t{a}|t{b}" for a, b in rng.integers(0, 300, (size, 2)).tolist()],
                    "price": np.round(rng.lognormal(3, 1, size), 2),
                    "position": rng.integers(1, 21, size),
                    "clicked": click,
                    "dwell_s": np.round(rng.gamma(2, 4 + 10 * click), 1),
                    "order_value": pl.Series(np.round(rng.random(size) * 90, 2)).set(
                        pl.Series(click * rng.random(size) < 0.9), None
                    ),
                }
            )
            stream.write(frame.write_csv(include_header=start == 0).encode())


def measure(command: list[str]) -> dict[str, Any]:
    """Runs a command to its end: seconds, CPU seconds, peak resident memory in MB."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{output}")
    return {
        "command": " ".join(command[3:5]),
        "seconds": round(time.monotonic() - begin, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Writes the log, runs both commands, prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the log goes; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="file for the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        log, declaration = Path(scratch) / "log.csv", Path(scratch) / "log.yaml"
        write_log(log, options.rows)
        dfei = [sys.executable, "-m", "pipeline", "dataset"]
        size = log.stat().st_size
        results = [
            measure([*dfei, "new", str(log), "-o", str(declaration), "--yes"]),
            measure([*dfei, "check", str(declaration), "--data", scratch]),
        ]
    table = Table(title=f"{options.rows:,} rows of 12 columns, {size / 1e6:,.0f} MB of csv")
    for heading in ("command", "seconds", "CPU seconds", "rows per CPU second", "peak memory, MB"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for row in results:
        row |= {"rows": options.rows, "bytes": size}
        row["rows_per_cpu_second"] = round(options.rows / row["cpu_seconds"])
        table.add_row(
            row["command"],
            str(row["seconds"]),
            str(row["cpu_seconds"]),
            f"{row['rows_per_cpu_second']:,}",
            f"{row['peak_memory_mb']:,}",
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
