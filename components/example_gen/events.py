"""The split `events`: logs of behaviour without an impression, as examples that only the averages see.

An event's example has the columns of an impression's, those that its log does not tell being absent. Its label is -1,
and where it has no domain the domain is -2^63 or the empty text, which Transform takes for missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from tfx.dsl.io import fileio

from components.dataset.declaration import Declaration
from components.dataset.events import EventsPlan, plan_events, read_events
from components.dataset.joins import read_lookup
from components.dataset.read_plan import Piece, cut
from components.dataset.sections.split import milliseconds
from components.errors import InputError
from components.example_files import ExampleWriter
from components.example_gen.encode import batches, example_frame
from components.example_gen.passes import LOOKUPS, PieceFn
from components.example_gen.scales import Scale, documents, read_scales, scales_of, together
from components.example_gen.storage import piece_path, read_json, write_frame, write_json
from components.worker_errors import in_worker

EVENTS = "events"
NO_LABEL = -1
_KINDS = {"int": pl.Int64, "float": pl.Float64, "string": pl.String}
_NO_DOMAIN: dict[str, int | str] = {"int": -(2**63), "string": ""}


class WriteEvents(PieceFn):
    """Writes the examples of one piece of the events, and counts them.

    Args:
      plan: what is read.
      folder: with the lookups' tables; what is counted goes there.
      block_bytes: bytes of csv in one block.
      since_ms: events before this local time are left out; None: none.
      before_ms: events of this local time and later are left out.
      uri: folder of the split.
      name: of this log, different from the other logs'.
    """

    def __init__(
        self,
        plan: EventsPlan,
        folder: str,
        block_bytes: int,
        since_ms: int | None,
        before_ms: int,
        uri: str,
        name: str,
    ) -> None:
        super().__init__(plan.reading, folder, 1, block_bytes)
        self._events, self._since_ms, self._before_ms = plan, since_ms, before_ms
        self._uri, self._name = uri, name

    def process(self, piece: Piece) -> list[None]:
        """Writes one TFRecord file, if the piece has rows."""
        with in_worker(self._uri):
            written, early, late, rejected = 0, 0, 0, 0
            path = f"{self._uri}/data_tfrecord-{self._name}-{piece.index:05d}.gz"
            writer: ExampleWriter | None = None
            scales: list[dict[str, Scale]] = []
            for rows, before, after, bad in read_events(
                self._events, piece, self.tables(), self._since_ms, self._before_ms, self._block_bytes
            ):
                early, late, rejected = early + before, late + after, rejected + bad
                written += len(rows)
                if len(rows):
                    writer = writer or ExampleWriter(path)
                    scales.append(scales_of(rows, self._plan.declaration))
                    for batch in batches(event_frame(rows, self._plan.declaration)):
                        writer.write(batch)
                self.progress("writing events", len(rows))
            if writer is not None:
                writer.close()
            counts = {"rows": written, "earlier": early, "later": late, "rejected": rejected}
            document = {"scales": documents(together(scales)), **counts}
            write_json(piece_path(self._folder, EVENTS, piece.index), document)
        return []


def event_frame(rows: pl.DataFrame, declaration: Declaration) -> pl.DataFrame:
    """The columns of the examples of joined events."""
    for name, kind in declaration.raw_columns().items():
        if name not in rows.columns:
            dtype: Any = pl.List(_KINDS[kind]) if declaration.is_list(name) else _KINDS[kind]
            rows = rows.with_columns(pl.lit(None, dtype).alias(name))
    frame = example_frame(rows, declaration)
    no_domain = _NO_DOMAIN[declaration.column_type(declaration.domain)]
    return frame.with_columns(
        pl.lit(NO_LABEL, pl.Int64).alias(declaration.label), pl.col(declaration.domain).fill_null(no_domain)
    )


def ingest_events(
    declaration: Declaration,
    data_dir: str,
    uri: str,
    folder: str,
    run: Callable[[Sequence[Any], Any], None],
    before_ms: int,
    block_bytes: int,
) -> list[dict[str, Any]]:
    """Writes the split `events` of all the declaration's logs of events.

    Args:
      declaration, data_dir: what is read.
      uri: folder of the split.
      folder: a folder for intermediate files that all workers share.
      run: does a job, see `ingest.Runner`.
      before_ms: events of this local time and later are left out, where `events.before` does not say so: the rows to
        evaluate begin there.
      block_bytes: bytes of csv in one block.

    Returns:
      For every log its files and behaviours, and how many of its rows were written, too late or unusable.

    Raises:
      InputError: a file, a column or too many rows are unusable; there is no event at all.
    """
    report = []
    fileio.makedirs(uri)
    for number, events in enumerate(declaration.events):
        plan = plan_events(declaration, events, data_dir)
        own = f"{folder}/{EVENTS}-{number}"
        for kind in (LOOKUPS, EVENTS):
            fileio.makedirs(f"{own}/{kind}")
        for index, lookup in enumerate(plan.reading.lookups):
            write_frame(piece_path(own, LOOKUPS, index), read_lookup(lookup, declaration).frame)
        pieces = cut(plan.reading)
        before = milliseconds(events.before)
        since = milliseconds(events.since)
        until = before_ms if before is None else before
        run(pieces, WriteEvents(plan, own, block_bytes, since, until, uri, str(number)))
        found = [read_json(piece_path(own, EVENTS, piece.index)) for piece in pieces]
        counts = {name: sum(one[name] for one in found) for name in ("rows", "earlier", "later", "rejected")}
        name = ", ".join(file.name for file in plan.reading.files)
        every = sum(counts.values())
        if counts["rejected"] > declaration.max_rejected_share * every:
            raise InputError(
                f"{name}: {counts['rejected']} of {every} events cannot be used (a value does not fit its type, or "
                "there is no time, or neither the user nor the item), more than max_rejected_share "
                f"{declaration.max_rejected_share} allows: mend the file, or events.columns and the types"
            )
        if counts["rows"] == 0 and before is None:
            raise InputError(f"{name}: has no event before the rows to evaluate: remove it from `events`")
        scales = documents(together(read_scales(one["scales"]) for one in found))
        report.append({"files": name, "behaviours": list(plan.behaviours), "scales": scales, **counts})
    return report
