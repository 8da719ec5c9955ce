"""A point of a study: one comparison on a simulated feed, or on real logs, looked at by groups of domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.study.plan import Group, Point, StudyRequest

if TYPE_CHECKING:
    from pipeline.compare.collect import Evidence

DEMANDING = "evaluation.min_rows=100"


def point(
    request: StudyRequest,
    name: str,
    label: str,
    domains: int,
    rows: int,
    *,
    settings: Sequence[str] = (),
    dataset: str = "simulated",
    data: Path | None = None,
    grouped: Literal["by_size", "by_kind"] = "by_size",
    latency: bool = False,
) -> Point:
    """One comparison.

    Args:
      request: what all studies are asked for.
      name: of its folder.
      label: on the axis.
      domains, rows: of the simulated feed.
      settings: for all models.
      dataset, data: real logs, in the place of the feed.
      grouped: the function of `pipeline.study.groups`.
      latency: whether requests are timed.
    """
    simulated = data is None and dataset == "simulated"

    def feed(root: Path) -> Path:
        from pipeline.study import feeds

        return feeds.feed(root, domains, rows)

    def of(evidence: Evidence) -> Mapping[str, Group]:
        from pipeline.study import feeds, groups

        grouping = groups.by_size if grouped == "by_size" else groups.by_kind
        return grouping(evidence, (lambda: feeds.truth(feed(request.root))) if simulated else None)

    return Point(
        name=name,
        label=label,
        request=request.compare([DEMANDING, *settings], dataset, data, latency),
        data=feed if simulated else None,
        groups=of,
    )
