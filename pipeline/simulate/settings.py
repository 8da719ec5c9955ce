"""What a simulated feed can be told, and the strengths of the effects that make its clicks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from components.errors import InputError

# Part of the identity of a simulation: raise it when the same seed would give other bytes.
FORMAT = 1
FIRST_DAY = "2024-01-01"
FIRST_DAY_MS = 1_704_067_200_000
DAY_MS = 86_400_000
LOWEST_CLICK_RATE = 0.01
HIGHEST_CLICK_RATE = 0.56


@dataclass(frozen=True)
class Strengths:
    """Standard deviations, in logits, of the effects on a click.

    `match`, `device`, `tier`, `position`, `duration`, `freshness` and `tags` can be read off the features;
    `propensity` (user), `appeal` (item) and `interest` (user x item, drifting) only off past behaviour.
    `daily` and `trend` move a domain's click rate from day to day.
    """

    match: float = 0.42
    device: float = 0.22
    tier: float = 0.12
    position: float = 0.30
    duration: float = 0.22
    freshness: float = 0.12
    tags: float = 0.15
    propensity: float = 0.70
    appeal: float = 0.55
    interest: float = 0.52
    daily: float = 0.25
    trend: float = 0.30


@dataclass(frozen=True)
class Relatedness:
    """Shares of variance of every domain-specific effect: common to all, to the domain's cluster, its own."""

    shared: float = 0.45
    cluster: float = 0.35
    own: float = 0.20


@dataclass(frozen=True)
class SimulationSettings:
    """The identity of a simulated feed: equal settings give equal bytes.

    Args:
        domains: number of domains, at least 2.
        rows: number of impressions, at least 2 per domain and 100 in all.
        users: number of users in `users.csv`.
        items: number of items in `items.csv`.
        days: length of the feed in UTC days from `FIRST_DAY`.
        seed: seed of every random draw.
        eval_days: the last days, on which the best possible AUC is stated.
        min_rows: rows that a domain needs to count in the average AUC.
    """

    domains: int
    rows: int
    users: int
    items: int
    days: int
    seed: int
    eval_days: int
    min_rows: int

    def __post_init__(self) -> None:
        _at_least("domains", self.domains, 2, "a feed of one domain has nothing to integrate")
        _at_least("rows", self.rows, max(100, 2 * self.domains), "two per domain, and 100 in all")
        _at_least("users", self.users, 20, "fewer cannot be cold and warm")
        _at_least("items", self.items, 20, "fewer cannot be cold and warm")
        _at_least("days", self.days, 3, "training, validation and evaluation need a day each")
        _at_least("seed", self.seed, 0, "a seed is not negative")
        _at_least("eval_days", self.eval_days, 1, "the evaluation needs a day")
        _at_least("min_rows", self.min_rows, 0, "a number of rows is not negative")
        if self.eval_days >= self.days:
            raise InputError(
                f"simulate: eval_days must be less than days, got eval_days={self.eval_days} and "
                f"days={self.days}: no day would be left for training"
            )

    @property
    def clusters(self) -> int:
        """Number of groups of related domains."""
        return max(1, round(math.sqrt(self.domains)))

    @property
    def categories(self) -> int:
        """Number of item categories."""
        return min(len(CATEGORIES), self.items // 4)

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def make_settings(
    *,
    domains: int,
    rows: int,
    users: int | None,
    items: int | None,
    days: int,
    seed: int,
    eval_days: int,
    min_rows: int,
) -> SimulationSettings:
    """Settings with the users and items that were not given: 25 rows per user and 50 per item on average."""
    return SimulationSettings(
        domains=domains,
        rows=rows,
        users=max(50, rows // 25) if users is None else users,
        items=max(64, rows // 50) if items is None else items,
        days=days,
        seed=seed,
        eval_days=eval_days,
        min_rows=min_rows,
    )


def _at_least(name: str, value: int, least: int, why: str) -> None:
    if value < least:
        raise InputError(f"simulate: {name} must be at least {least} ({why}), got {value}")


AGE_BANDS = ("under-18", "18-24", "25-34", "35-44", "45-54", "55-plus")
AGE_SHARES = (0.08, 0.22, 0.28, 0.20, 0.13, 0.09)
DEVICES = ("android-basic", "android-flagship", "iphone", "tablet", "desktop")
DEVICE_SHARES = (0.34, 0.26, 0.25, 0.06, 0.09)
CITY_TIERS = (1, 2, 3, 4, 5)
CITY_TIER_SHARES = (0.18, 0.24, 0.26, 0.20, 0.12)
CATEGORIES = (
    "animals",
    "beauty",
    "cars",
    "comedy",
    "cooking",
    "crafts",
    "dance",
    "fashion",
    "film",
    "games",
    "health",
    "music",
    "news",
    "science",
    "sports",
    "travel",
)
TAGS_PER_CATEGORY = 6
SHARED_TAGS = ("live", "local", "new", "sale", "short", "trending")
POSITIONS = 20
