"""The schema beside a proposed declaration: what the declaration implies, narrowed by what TFDV saw."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import text_format

from components.dataset.declaration import Declaration
from components.dataset.names import LOCAL_TIME
from components.dataset.schema import draft_schema
from pipeline.datasets.tfdv_statistics import ColumnStatistics

_HEADER = """\
# What the examples of {name} must look like; a run stops when they do not.
# Proposed from a sample of {rows:,} rows: types and lists as declared; columns with a value in every row may be missing
# in a tenth of them, others in twice as many as they are; texts have no closed domain, so new values are no anomaly.
"""


def schema_file(declaration: Declaration, statistics: Mapping[str, ColumnStatistics], rows: int) -> str:
    """The text of the `.pbtxt` file.

    Args:
      declaration: the proposed one.
      statistics: by column of the sample.
      rows: rows of the sample.
    """
    schema = draft_schema(declaration)
    for feature in schema.feature:
        found = statistics.get(feature.name)
        always = {declaration.label, declaration.domain, LOCAL_TIME}
        if feature.name in always or found is None or feature.name not in declaration.features:
            continue
        share = found.rows / max(1, found.rows + found.missing)
        if share > 0.02:
            feature.presence.min_fraction = 0.9 if share == 1.0 else round(share / 2, 2)
            feature.presence.min_count = 1
        if declaration.features[feature.name].type == "float":
            feature.float_domain.disallow_nan = True
            feature.float_domain.disallow_inf = True
    return _HEADER.format(name=declaration.name, rows=rows) + text_format.MessageToString(schema)
