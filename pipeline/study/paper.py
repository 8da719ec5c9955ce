"""Study 5: the paper's own setting, with no averages of behaviour among the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.study.domains import DEMANDING
from pipeline.study.plan import Group, Plan, Point, StudyRequest

if TYPE_CHECKING:
    from pipeline.compare.collect import Evidence

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
            points.append(_point(request, label, chosen, dataset, data, domains, rows))
    return Plan(
        name="paper",
        question="In the paper's own setting, does its order hold, and what do its ablations lose?",
        axis="training",
        points=points,
    )


def _point(
    request: StudyRequest,
    label: str,
    settings: Sequence[str],
    dataset: str,
    data: Path | None,
    domains: int,
    rows: int,
) -> Point:
    simulated = data is None and dataset == "simulated"

    def feed(root: Path) -> Path:
        from pipeline.study import feeds

        return feeds.feed(root, domains, rows)

    def of(evidence: Evidence) -> Mapping[str, Group]:
        from pipeline.study import feeds, groups

        return groups.by_size(evidence, (lambda: feeds.truth(feed(request.root))) if simulated else None)

    return Point(
        name="".join(c if c.isalnum() else "-" for c in label),
        label=label,
        request=request.compare([DEMANDING, *settings], dataset, data),
        data=feed if simulated else None,
        groups=of,
    )
