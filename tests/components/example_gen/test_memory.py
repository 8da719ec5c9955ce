"""Memory does not grow with the number of rows: peak memory of one process at 1x and at 12x the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.example_gen.small import DAY_MS, FIRST_DAY_MS, LOG_HEADER, declare, write_data

SCRIPT = """
import json, resource, sys
from pathlib import Path
import apache_beam as beam
from components.dataset import load_declaration
from components.beam_jobs import beam_runner
from components.example_gen.ingest import ingest
from pipeline.beam_runner import beam_args

folder, data = Path(sys.argv[1]), sys.argv[2]
make = lambda: beam.Pipeline(argv=list(beam_args("direct", ["workers=1"])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = ingest(
    load_declaration(str(folder / "small.yaml")), data,
    {split: str(folder / "out" / split) for split in ("train", "eval")}, str(folder / "tmp"), beam_runner(make),
    piece_bytes=1 << 20, block_bytes=1 << 20, partition_rows=50_000,
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rows": report["rows_read"], "duplicates": report["duplicates"], "mib": (peak - before) / 1024}))
"""
ROWS = 25_000


def write_log(path: Path, rows: int) -> None:
    with path.open("w") as stream:
        stream.write(LOG_HEADER + "\n")
        for row in range(rows):
            at = FIRST_DAY_MS + row * 4 * DAY_MS // rows
            stream.write(
                f"{at},{row % 3},{row % 9973},{'abc'[row % 3]},{row % 7 // 6},{row},{row % 60},x;y,{row:064d}\n"
            )


def peak(folder: Path, rows: int) -> dict[str, float]:
    folder.mkdir()
    declare(folder)
    data = write_data(folder, {})
    write_log(data / "log.csv", rows)
    command = [sys.executable, "-c", SCRIPT, str(folder), str(data)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    small, large = peak(tmp_path / "small", ROWS), peak(tmp_path / "large", 12 * ROWS)
    assert (small["rows"], large["rows"]) == (ROWS, 12 * ROWS)
    # The log itself grows by 29 MB, and its hashes by 6 MB; measured: 22 and 27 MiB.
    assert large["mib"] < small["mib"] + 18, (small, large)
