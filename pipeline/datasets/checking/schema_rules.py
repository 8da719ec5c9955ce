"""Whether the examples would fit their schema: TFDV's own judgement on statistics of the stream."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import tensorflow_data_validation as tfdv

from components.dataset.declaration import Declaration
from components.dataset.schema import declared_schema
from components.example_gen.encode import example_frame
from components.example_gen.scan import days
from components.example_validator.strict import anomalies_of
from pipeline.datasets.checking.findings import Finding
from pipeline.datasets.tfdv_statistics import StatisticsStream

SPLITS = ("train", "eval")
MOST_ROWS = 2_000_000


class SchemaCheck:
    """Statistics of both splits, to which accepted rows are added.

    Args:
      declaration: the data set.
      first_eval_day: where the evaluation begins.
      every: one block in so many is looked at.
    """

    def __init__(self, declaration: Declaration, first_eval_day: int, every: int) -> None:
        self._declaration = declaration
        self._first_eval_day = first_eval_day
        self._every = every
        self._blocks = 0
        self._streams = {split: StatisticsStream() for split in SPLITS}
        self._rows = dict.fromkeys(SPLITS, 0)

    def add(self, rows: pl.DataFrame) -> None:
        """Adds accepted, joined rows."""
        self._blocks += 1
        if (self._blocks - 1) % self._every:
            return
        frame = example_frame(rows, self._declaration)
        is_eval = days(frame, self._declaration.split.day_ms) >= self._first_eval_day
        for split, part in (("train", frame.filter(~is_eval)), ("eval", frame.filter(is_eval))):
            if not part.is_empty():
                self._streams[split].add(part)
                self._rows[split] += len(part)

    def findings(self) -> Iterator[Finding]:
        """Anomalies, those that stop a run first.

        Raises:
          InputError: the file beside the declaration is no schema.
        """
        schema = declared_schema(self._declaration)
        path = self._declaration.schema_path()
        name = "their declared types" if path is None else path.name
        looked = sum(self._rows.values())
        severe = 0
        for split in SPLITS:
            if self._rows[split] == 0:
                continue
            statistics = self._streams[split].result()
            for anomaly in anomalies_of(split, tfdv.validate_statistics(statistics, schema)):
                severe += anomaly.severe
                level = "fail" if anomaly.severe else "warn"
                yield Finding(
                    level,  # type: ignore[arg-type]
                    "schema",
                    str(anomaly),
                    f"mend the data, or, where the data is right, {'the declaration' if path is None else name}",
                )
        if not severe:
            part = f" ({looked:,} rows looked at)" if self._every > 1 else ""
            yield Finding("ok", "schema", f"the examples fit {name}{part}")
