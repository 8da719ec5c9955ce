"""Cold and warm: rows whose user or item was known in training, and rows whose was not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from components.study.document import IdGroup, TrainedDomain
from components.study.sample import Sample, column_of, one_auc
from models.arrays import Array
from models.features import FeatureLayout
from models.rows import RowSource


def known_ids(sample: Sample, layout: FeatureLayout, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Whether the id of each row is in its vocabulary, bool (rows,), by role.

    Args:
      sample: the rows.
      layout: names the features of the roles.
      sizes: entries of each feature's vocabulary; a role whose feature is not among them is left out.
    """
    found = {}
    for role, name in (("user", layout.user), ("item", layout.item)):
        if name is not None and name in sizes:
            ids = sample.categorical(column_of(layout, name))
            # 0 is missing; 1 to V are the vocabulary; the buckets of other values come after it.
            found[role] = (ids >= 1) & (ids <= sizes[name])
    return found


def id_groups(
    sample: Sample, known: Mapping[str, Array], layout: FeatureLayout, min_counts: Mapping[str, int]
) -> list[IdGroup]:
    """Scores of the rows with a known and with a rare user, and the same for items; empty groups are left out.

    Args:
      sample: the rows.
      known: by role, of `known_ids`.
      layout: names the columns.
      min_counts: training rows that an id needs to be known, by column.
    """
    found = []
    for role, column in (("user", layout.user), ("item", layout.item)):
        if role not in known or column is None:
            continue
        for is_known in (True, False):
            here = known[role] == is_known
            if not here.any():
                continue
            label, prediction = sample.label[here], sample.prediction[here]
            auc, error = one_auc(prediction, label)
            clicks = int(label.sum())
            found.append(
                IdGroup(
                    role=role,
                    column=column,
                    known=is_known,
                    min_count=min_counts.get(column, 1),
                    rows=int(here.sum()),
                    positives=clicks,
                    auc=auc,
                    auc_standard_error=error,
                    calibration=float(prediction.sum() / clicks) if clicks else None,
                )
            )
    return found


def trained_domains(
    train_rows: RowSource, sample: Sample, known: Mapping[str, Array], layout: FeatureLayout
) -> dict[str, TrainedDomain]:
    """Training rows and clicks of each domain, and the shares of rare ids in its evaluation rows."""
    count = layout.domain_count
    domain = np.asarray(train_rows.domain)
    rows = np.bincount(domain, minlength=count)
    clicks = np.bincount(domain, np.asarray(train_rows.label, np.float64), count)
    asked = np.bincount(sample.domain, minlength=count)
    rare = {role: np.bincount(sample.domain, ~mask, count) for role, mask in known.items()}

    def share(role: str, d: int) -> float | None:
        return float(rare[role][d] / asked[d]) if role in rare and asked[d] else None

    return {
        layout.domains[d]: TrainedDomain(
            rows=int(rows[d]),
            positives=int(clicks[d]),
            rare_users=share("user", d),
            rare_items=share("item", d),
        )
        for d in range(count)
    }
