"""Study 4: what each system costs, by the number of domains, side by side in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.study.domains import DEMANDING
from pipeline.study.plan import Group, Plan, Point, StudyRequest

if TYPE_CHECKING:
    from pipeline.compare.collect import Evidence


def plan(request: StudyRequest, domains: Sequence[int], rows: int) -> Plan:
    """One simulated feed of `rows` rows for each number of domains; requests of all domains mixed are timed."""
    return Plan(
        name="cost",
        question="What do training and serving cost, by the number of domains?",
        axis="number of domains",
        points=[_point(request, count, rows) for count in domains],
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
        request=request.compare([DEMANDING], latency=True),
        data=data,
        groups=of,
    )
