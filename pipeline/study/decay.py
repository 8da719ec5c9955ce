"""Study 3: how fast should a domain's features forget?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.study.plan import Plan, StudyRequest
from pipeline.study.point import point

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
            point(
                request,
                name,
                name,
                domains,
                rows,
                settings=chosen,
                dataset=dataset,
                data=data,
                grouped="by_kind",
            )
            for name, chosen in settings.items()
        ],
        reference_point=DECLARED,
    )
