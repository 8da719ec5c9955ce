"""Study 1: does DFEI's lead grow with the number of domains, and where is it?"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.study.plan import Plan, StudyRequest
from pipeline.study.point import point


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
            point(
                request,
                f"{count}-domains",
                f"{count:,}",
                count,
                rows if rows_per_domain is None else rows_per_domain * count,
            )
            for count in domains
        ],
    )
