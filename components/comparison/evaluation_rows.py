"""From the rows that models read to the rows that they are evaluated on."""

from __future__ import annotations

import numpy as np

from components.comparison.scores import EvaluationRows
from models.features import FeatureLayout
from models.rows import RowSource


def evaluation_rows(rows: RowSource, layout: FeatureLayout, min_rows: int) -> EvaluationRows:
    """Labels, domains and users of transformed rows.

    Users too rare for the vocabulary share its few last ids and are drawn together in a bootstrap. A row without a user
    is one of its own, and so is each row where the user is no feature.

    Args:
      rows: what is evaluated, (rows,).
      layout: what a row holds.
      min_rows: rows that a domain needs, with both classes, to count in the average AUC.
    """
    everyone = np.arange(len(rows.domain))
    user, column = everyone, 0
    for feature in layout.categorical:
        if feature.name == layout.user:
            ids = rows.gather(everyone)["categorical"][:, column]
            user = np.where(ids == 0, -1 - everyone, ids)
        column += feature.width
    return EvaluationRows(rows.label, np.asarray(rows.domain), user, layout.domains, min_rows)
