"""Study 4: what each system costs, by the number of domains, side by side in one run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.study.plan import Plan, StudyRequest
from pipeline.study.point import point


def plan(request: StudyRequest, domains: Sequence[int], rows: int) -> Plan:
    """One simulated feed of `rows` rows for each number of domains; requests of all domains mixed are timed."""
    return Plan(
        name="cost",
        question="What do training and serving cost, by the number of domains?",
        axis="number of domains",
        points=[
            point(request, f"{count}-domains", f"{count:,}", count, rows, latency=True) for count in domains
        ],
    )
