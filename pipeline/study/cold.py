"""Study 2: what a new domain, a new user and a new item get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from components.errors import InputError
from pipeline.study.plan import AUC, LOG_LOSS, Group, Plan, Point, StudyRequest
from pipeline.study.point import DEMANDING

if TYPE_CHECKING:
    from components.comparison.scores import Scored
    from components.dataset.declaration import Declaration
    from pipeline.compare.collect import Evidence
    from pipeline.compare.result import Comparison
    from pipeline.study import feeds

NEW, OLD = "new domains", "other domains"


def plan(
    request: StudyRequest,
    seen: Sequence[int],
    dataset: str,
    data: Path | None,
    hold: Sequence[str],
    domains: int,
    rows: int,
) -> Plan:
    """Domains of which so many rows are seen before the evaluation.

    Args:
      request: what all studies are asked for.
      seen: numbers of these rows.
      dataset, data: real logs; by default a simulated feed of so many domains and rows.
      hold: domains of real logs that are new, each in turn. Of a simulated feed a third is new, all at once.
      domains, rows: of the feed.

    Raises:
      InputError: domains are named for a simulated feed, or none for real logs.
    """
    simulated = data is None and dataset == "simulated"
    if simulated == bool(hold):
        raise InputError(
            "--hold: a third of a simulated feed's domains is new, whatever is named"
            if simulated
            else f"--hold: name the domains of {dataset} that are to be new, each in turn: --hold 3,5"
        )
    held: list[str | None] = [None] if simulated else list(hold)
    return Plan(
        name="cold",
        question="What does a new domain get before it has rows, and how fast does it learn?",
        axis="rows of each new domain seen" if simulated else "new domain, and rows of it seen",
        points=[
            _point(request, count, dataset, data, domain, domains, rows) for domain in held for count in seen
        ],
        metrics=(AUC, LOG_LOSS),
    )


def _point(
    request: StudyRequest,
    seen: int,
    dataset: str,
    data: Path | None,
    domain: str | None,
    domains: int,
    rows: int,
) -> Point:
    def feed(root: Path) -> Path:
        from pipeline.study import feeds

        return feeds.feed(root, domains, rows)

    def new() -> list[str]:
        from pipeline.study import feeds

        return feeds.late_domains(feed(request.root)) if domain is None else [domain]

    def settings(declaration: Declaration, folder: Path) -> list[str]:
        from pipeline.study import held_back

        return [held_back.setting(declaration, folder, new(), seen)]

    def of(evidence: Evidence) -> Mapping[str, Group]:
        import numpy as np

        from pipeline.study import feeds, groups

        late = np.isin(np.array(evidence.rows.domains), new())

        def truth() -> feeds.Truth:
            return feeds.truth(feed(request.root))

        known = truth if domain is None else None
        found = groups.of_domains(evidence, {NEW: late, OLD: ~late}, known)
        layout = groups.material(evidence).layout
        return {
            **found,
            **groups.by_rows_seen(evidence, "user", layout.user, known),
            **groups.by_rows_seen(evidence, "item", layout.item, known),
        }

    def further(evidence: Evidence, comparison: Comparison) -> Mapping[str, Sequence[Scored]]:
        from pipeline.study import stand_in

        return stand_in.scored(evidence, comparison, new())

    return Point(
        name=f"{seen}-seen" if domain is None else f"{quote(domain, safe='')}-{seen}-seen",
        label=f"{seen:,}" if domain is None else f"{domain}: {seen:,}",
        request=request.compare([DEMANDING], dataset, data),
        data=feed if domain is None else None,
        settings=settings,
        groups=of,
        further=further,
    )
