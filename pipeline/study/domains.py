"""Study 1: does DFEI's lead grow with the number of domains, and where is it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.study.plan import Group, Plan, Point, StudyRequest

if TYPE_CHECKING:
    from pipeline.compare.collect import Evidence

DEMANDING = "evaluation.min_rows=100"


def plan(request: StudyRequest, domains: Sequence[int], rows: int, rows_per_domain: int | None) -> Plan:
    """One simulated feed for each number of domains.

    Args:
      request: what all studies are asked for.
      domains: numbers of them.
      rows: of each feed.
      rows_per_domain: of each domain on average, in the place of `rows`: the feeds then grow with the domains.
    """
    return Plan(
        name="domains",
        question="Does DFEI's lead grow with the number of domains, and is it in the tail?",
        axis="number of domains",
        points=[
            _point(request, count, rows if rows_per_domain is None else rows_per_domain * count)
            for count in domains
        ],
    )


def _point(request: StudyRequest, domains: int, rows: int) -> Point:
    def data(root: Path) -> Path:
        from pipeline.study import feeds

        return feeds.feed(root, domains, rows)

    def of(evidence: Evidence) -> Mapping[str, Group]:
        from pipeline.study import feeds, groups

        return groups.by_size(evidence, lambda: feeds.truth(data(request.root)))

    return Point(
        name=f"{domains}-domains",
        label=f"{domains:,}",
        request=request.compare([DEMANDING]),
        data=data,
        groups=of,
    )
