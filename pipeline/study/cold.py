"""Study 2: what a new domain, a new user and a new item get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.study.plan import AUC, LOG_LOSS, Group, Plan, Point, StudyRequest
from pipeline.study.point import DEMANDING

if TYPE_CHECKING:
    from components.comparison.scores import Scored
    from pipeline.compare.collect import Evidence
    from pipeline.compare.result import Comparison

FIRST_DAY = 8
NEW, OLD = "new domains", "other domains"


def plan(request: StudyRequest, seen: Sequence[int], domains: int, rows: int) -> Plan:
    """A third of the domains appears on day 8 of a simulated feed, each with as many rows until the evaluation.

    Args:
      request: what all studies are asked for.
      seen: numbers of these rows.
      domains, rows: of the feed.
    """
    return Plan(
        name="cold",
        question="What does a new domain get before it has rows, and how fast does it learn?",
        axis="rows of each new domain seen",
        points=[_point(request, count, domains, rows) for count in seen],
        metrics=(AUC, LOG_LOSS),
    )


def _point(request: StudyRequest, seen: int, domains: int, rows: int) -> Point:
    def whole() -> Path:
        from pipeline.study import feeds

        return feeds.feed(request.root, domains, rows)

    def data(root: Path) -> Path:
        from pipeline.study import feeds

        feed = whole()
        target = root / feeds.FEEDS / f"{feed.name}-new-{seen}"
        return feeds.with_late_domains(feed, target, feeds.late_domains(feed), FIRST_DAY, seen)

    def of(evidence: Evidence) -> Mapping[str, Group]:
        import numpy as np

        from pipeline.study import feeds, groups

        feed = whole()
        late = np.isin(np.array(evidence.rows.domains), feeds.late_domains(feed))

        def truth() -> feeds.Truth:
            return feeds.truth(feed)

        found = groups.of_domains(evidence, {NEW: late, OLD: ~late}, truth)
        layout = groups.material(evidence).layout
        return {
            **found,
            **groups.by_rows_seen(evidence, "user", layout.user, truth),
            **groups.by_rows_seen(evidence, "item", layout.item, truth),
        }

    def further(evidence: Evidence, comparison: Comparison) -> Mapping[str, Sequence[Scored]]:
        from pipeline.study import feeds, stand_in

        return stand_in.scored(evidence, comparison, feeds.late_domains(whole()))

    return Point(
        name=f"{seen}-seen",
        label=f"{seen:,}",
        request=request.compare([DEMANDING]),
        data=data,
        groups=of,
        further=further,
    )
