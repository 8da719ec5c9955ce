"""Study 5: the paper's own setting, with no averages of behaviour among the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.study.plan import Plan, StudyRequest
from pipeline.study.point import point

FEATURES = ("model.averages=learned", "model.history=none", "model.use_ids=true")
"""Ids and features alone: of the averages only DFE's, which DFEI learns."""
TRAINING = (
    "training.schedule=cyclic",
    "training.shared_lr_scale=1/D",
    "training.loss_weighting=batch",
    "training.batch_size=512",
)
SETTINGS = {"our batches and rates": FEATURES, "the paper's": (*FEATURES, *TRAINING)}


def plan(
    request: StudyRequest, dataset: str, data: Path | None, periods: Sequence[str], domains: int, rows: int
) -> Plan:
    """The systems without averages, trained as here and as in the paper, for each period.

    Args:
      request: what all studies are asked for.
      dataset, data: real logs; without `data` a simulated feed.
      periods: days at whose end the log ends (`split.before`), the latest first; none: the whole log.
      domains, rows: of the feed.
    """
    points = []
    for before in periods or [""]:
        for name, settings in SETTINGS.items():
            chosen = (*settings, *([f"split.before={before}"] if before else []))
            label = f"{name}, to {before}" if before else name
            folder = "".join(c if c.isalnum() else "-" for c in label)
            points.append(
                point(request, folder, label, domains, rows, settings=chosen, dataset=dataset, data=data)
            )
    return Plan(
        name="paper",
        question="In the paper's own setting, does its order hold, and what do its ablations lose?",
        axis="training",
        points=points,
    )
