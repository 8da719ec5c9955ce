"""Study 3: how fast should a domain's features forget?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.study.domains import DEMANDING
from pipeline.study.plan import Group, Plan, Point, StudyRequest

if TYPE_CHECKING:
    from pipeline.compare.collect import Evidence

DECLARED = "declared"


def plan(
    request: StudyRequest,
    decays: Sequence[float | str],
    dataset: str,
    data: Path | None,
    domains: int,
    rows: int,
) -> Plan:
    """One comparison for each decay of the domains' averages, tested against the declared one; by kind of domain.

    Args:
      request: what all studies are asked for.
      decays: values of `moving_average.decay`.
      dataset, data: real logs; by default a simulated feed of so many domains and rows.
      domains, rows: of the feed.
    """
    settings: dict[str, tuple[str, ...]] = {DECLARED: ()}
    settings |= {str(decay): (f"moving_average.decay={decay}",) for decay in decays}
    return Plan(
        name="decay",
        question="How fast should a domain's averages and features forget, by kind of domain?",
        axis="decay of the domains' averages",
        points=[
            _point(request, name, chosen, dataset, data, domains, rows) for name, chosen in settings.items()
        ],
        reference_point=DECLARED,
    )


def _point(
    request: StudyRequest,
    name: str,
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

        return groups.by_kind(evidence, (lambda: feeds.truth(feed(request.root))) if simulated else None)

    return Point(
        name=name,
        label=name,
        request=request.compare([DEMANDING, *settings], dataset, data),
        data=feed if simulated else None,
        groups=of,
    )
