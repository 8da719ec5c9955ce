"""Rows that were read and not used, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def left_out(report: Mapping[str, Any]) -> list[str]:
    """A sentence with the first of the log's rows that could not be used, and one for each lookup that has such.

    Args:
      report: of ExampleGen, `ingest_report.json`.

    >>> reject = {"file": "log.csv", "line": 7, "reason": "column scene: missing"}
    >>> left_out({"rejected": 4, "rows_read": 4080, "rejects": [reject]})
    ['4 of 4,080 rows cannot be used and were left out; the first: log.csv:7: column scene: missing']
    >>> left_out({"rejected": 0, "lookups": [{"file": "items.csv", "rows": 1204, "rejected": 1}]})
    ['items.csv: 1 of 1,204 lines cannot be used and were left out: their keys have no row']
    """
    said = []
    rejected = int(report.get("rejected") or 0)
    if rejected:
        first = "".join(
            f"; the first: {one['file']}:{one['line']}: {one['reason']}" for one in report["rejects"][:1]
        )
        many = f"{rejected:,} of {report['rows_read']:,} rows"
        said.append(f"{many} cannot be used and were left out{first}")
    said += [
        f"{lookup['file']}: {lookup['rejected']:,} of {lookup['rows']:,} lines cannot be used and were left out: their "
        "keys have no row"
        for lookup in report.get("lookups") or []
        if lookup["rejected"]
    ]
    return said
