"""Rows of the log that were read and not used, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def left_out(report: Mapping[str, Any]) -> list[str]:
    """One sentence with the first of the rows that could not be used; none where all could.

    Args:
      report: of ExampleGen, `ingest_report.json`.

    >>> reject = {"file": "log.csv", "line": 7, "reason": "column scene: missing"}
    >>> left_out({"rejected": 4, "rows_read": 4080, "rejects": [reject]})
    ['4 of 4,080 rows cannot be used and were left out; the first: log.csv:7: column scene: missing']
    """
    rejected = int(report.get("rejected") or 0)
    if not rejected:
        return []
    first = "".join(
        f"; the first: {one['file']}:{one['line']}: {one['reason']}" for one in report["rejects"][:1]
    )
    many = f"{rejected:,} of {report['rows_read']:,} rows"
    return [f"{many} cannot be used and were left out{first}"]
