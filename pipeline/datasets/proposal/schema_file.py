"""The schema beside a proposed declaration: what the declaration implies, narrowed by what the log shows."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from google.protobuf import text_format

from components.dataset.declaration import Declaration
from components.dataset.names import LOCAL_TIME
from components.dataset.schema import draft_schema
from pipeline.datasets.proposal.roles import Column

_HEADER = """\
# What the examples of {name} must look like; a run stops when they do not.
# Proposed from {rows}: types and lists as declared; a column may be missing in a tenth of the rows, or in twice as
# many as now where that is more; texts have no closed domain, so new values are no anomaly.
"""
MISSING_TIMES, MISSING_AT_LEAST = 2, 0.1


def schema_file(declaration: Declaration, columns: Mapping[str, Column]) -> str:
    """The text of the `.pbtxt` file.

    Args:
      declaration: the proposed one.
      columns: of the joined sample, by name.
    """
    schema = draft_schema(declaration)
    for feature in schema.feature:
        found = columns.get(feature.name)
        always = {declaration.label, declaration.domain, LOCAL_TIME}
        if feature.name in always or found is None or feature.name not in declaration.features:
            continue
        allowed = max(MISSING_AT_LEAST, MISSING_TIMES * _missing(found))
        if allowed < 1:
            feature.presence.min_fraction = round(1 - allowed, 4)
            feature.presence.min_count = 1
        if declaration.features[feature.name].type == "float":
            feature.float_domain.disallow_nan = True
            feature.float_domain.disallow_inf = True
    label = columns[declaration.label]
    count = len(label.values.column)
    rows = f"a sample of {count:,} rows" if label.sampled else f"all {count:,} rows"
    return _HEADER.format(name=declaration.name, rows=rows) + text_format.MessageToString(schema)


def _missing(column: Column) -> float:
    """The share of rows without a value; an empty list is none."""
    values = column.values.column
    given = values.list.len() > 0 if isinstance(values.dtype, pl.List) else values.is_not_null()
    return 1 - int(given.sum()) / max(1, len(values))
