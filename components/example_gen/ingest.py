"""Ingestion from files to examples: plans, runs the passes on a Beam runner, judges between them, reports.

Three short Beam jobs: look at every piece of the log and hash its rows; find duplicates, partition by partition; write
the examples. The log is read twice, which costs less than keeping parsed rows. The driver judges after the first
job, so that a user's mistake is found before anything is written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from tfx.dsl.io import fileio

from components.beam_jobs import Runner
from components.dataset.blocks import BLOCK_BYTES
from components.dataset.declaration import DAY_MS, Declaration
from components.dataset.joins import read_lookup
from components.dataset.parquet import read_metadata
from components.dataset.read_plan import Piece, ReadPlan, cut, plan_reading
from components.errors import InputError
from components.example_gen import checks
from components.example_gen.duplicates import DROPS, HASHES, PARTITION_ROWS
from components.example_gen.events import EVENTS, ingest_events
from components.example_gen.passes import (
    LOOKUPS,
    SCANS,
    WRITTEN,
    FindDuplicates,
    ScanPiece,
    WritePiece,
)
from components.example_gen.scales import documents, read_scales, together
from components.example_gen.scan import SHOWN_REJECTS
from components.example_gen.spellings import domain_doubts, label_doubts
from components.example_gen.storage import piece_path, read_json, write_frame
from components.worker_errors import in_driver

SPLITS = ("train", "eval")


def splits_of(declaration: Declaration) -> tuple[str, ...]:
    """The splits of a declaration's examples: `events` too, where it has some."""
    return (*SPLITS, EVENTS) if declaration.events else SPLITS


_BYTES_PER_ROW = {"csv": 40, "csv.gz": 8, "json": 120, "json.gz": 12}


def ingest(
    declaration: Declaration,
    data_dir: str,
    split_uris: dict[str, str],
    folder: str,
    run: Runner,
    *,
    piece_bytes: int | None = None,
    block_bytes: int = BLOCK_BYTES,
    partition_rows: int = PARTITION_ROWS,
) -> dict[str, Any]:
    """Writes the examples of `train` and `eval`.

    Args:
      declaration: the data set.
      data_dir: the folder with its files, readable by every worker.
      split_uris: split -> folder for its TFRecord files.
      folder: a folder for intermediate files that all workers share; removed at the end.
      run: does a job: hands every element to the DoFn, in any order, on any worker.
      piece_bytes, block_bytes, partition_rows: sizes of what is worked on at a time.
    Returns:
      The ingest report.
    Raises:
      InputError: the files, their columns or their rows are not usable; the disk is full.
    """
    with in_driver(folder):
        plan = plan_reading(declaration, data_dir)
        pieces = cut(plan, piece_bytes)
        partitions = max(1, math.ceil(likely_rows(plan) / partition_rows))
        for kind in (LOOKUPS, SCANS, HASHES, DROPS, WRITTEN):
            fileio.makedirs(f"{folder}/{kind}")
        tables = [read_lookup(lookup, declaration) for lookup in plan.lookups]
        for number, table in enumerate(tables):
            write_frame(piece_path(folder, LOOKUPS, number), table.frame)
        rejected_lines = [(table.rows, table.rejected, table.rejects) for table in tables]
        del tables
        run(pieces, ScanPiece(plan, folder, partitions, block_bytes))
        scan = checks.merge(plan, pieces, _documents(folder, SCANS, pieces), SHOWN_REJECTS)
        first_eval_day = checks.first_eval_day(plan, scan)
        run(range(partitions), FindDuplicates(folder, len(pieces), partitions))
    with in_driver(split_uris["train"]):
        run(pieces, WritePiece(plan, folder, partitions, block_bytes, first_eval_day, split_uris))
        written = _documents(folder, WRITTEN, pieces)
        events = []
        if declaration.events:
            before = first_eval_day * declaration.split.day_ms
            events = ingest_events(
                declaration, data_dir, split_uris[EVENTS], folder, run, before, block_bytes
            )
    fileio.rmtree(folder)
    report = _report(plan, scan, first_eval_day, written, rejected_lines)
    return {**report, "events": events} if events else report


def _documents(folder: str, kind: str, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    return [read_json(piece_path(folder, kind, piece.index)) for piece in pieces]


def likely_rows(plan: ReadPlan) -> int:
    """A number of rows that is rather too high than too low."""
    return sum(
        read_metadata(file.path).num_rows
        if file.format == "parquet"
        else file.size // _BYTES_PER_ROW[file.format]
        for file in plan.files
    )


def _gaps(plan: ReadPlan, scan: checks.Scan) -> list[list[str]]:
    """First and last date of each time inside the log without a row, of whole days."""
    if plan.declaration.timestamp.is_random:
        return []
    own = plan.declaration.split.day_ms
    length = max(own, DAY_MS)
    days = sorted({day * own // length for day in scan.days})
    return [
        [checks.date_of(before + 1, length), checks.date_of(after - 1, length)]
        for before, after in itertools.pairwise(days)
        if after - before > 1
    ]


def _report(
    plan: ReadPlan,
    scan: checks.Scan,
    first_eval_day: int,
    written: Sequence[dict[str, Any]],
    lookups: Sequence[tuple[int, int, Sequence[tuple[str, int, str]]]],
) -> dict[str, Any]:
    totals = {key: sum(document[key] for document in written) for key in (*SPLITS, "duplicates")}
    if totals["train"] + totals["eval"] + totals["duplicates"] != scan.accepted:
        raise InputError(f"{plan.files[0].path}: the files changed while they were read; run again")
    rejects = [*scan.rejects, *(reject for _, _, shown in lookups for reject in shown)]
    return {
        "rows_read": scan.rows,
        "duplicates": totals["duplicates"],
        "later": scan.later,
        "rejected": scan.rejected,
        "rejected_share": scan.rejected / scan.rows,
        "train": totals["train"],
        "eval": totals["eval"],
        "first_day": checks.date_of(min(scan.days), plan.declaration.split.day_ms),
        "last_train_day": checks.date_of(
            max(day for day in scan.days if day < first_eval_day), plan.declaration.split.day_ms
        ),
        "first_eval_day": checks.date_of(first_eval_day, plan.declaration.split.day_ms),
        "last_day": checks.date_of(max(scan.days), plan.declaration.split.day_ms),
        "gaps": _gaps(plan, scan),
        "silent_days": [
            checks.date_of(day, plan.declaration.split.day_ms) for day in checks.silent_days(scan)
        ],
        "spelled": scan.spelled,
        "scales": documents(together(read_scales(document["scales"]) for document in written)),
        "doubts": [
            *label_doubts(plan.declaration, scan.spelled),
            *domain_doubts(plan.declaration.domain, scan.domain_rows),
        ],
        "files": [
            {"file": file.name, "rows": rows, "rejected": rejected}
            for file, (rows, rejected) in zip(plan.files, scan.by_file, strict=True)
        ],
        "lookups": [
            {"file": lookup.name, "rows": rows, "rejected": rejected}
            for lookup, (rows, rejected, _) in zip(plan.lookups, lookups, strict=True)
        ],
        "rejects": [
            {"file": path, "line": line, "reason": reason} for path, line, reason in rejects[:SHOWN_REJECTS]
        ],
        "unmatched": {
            lookup.name: sum(document["unmatched"][number] for document in written)
            for number, lookup in enumerate(plan.lookups)
        },
    }
