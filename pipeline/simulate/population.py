"""The users and items of a simulated feed: what the tables say of them, and what only behaviour reveals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.arrays import Array
from pipeline.simulate.settings import (
    AGE_BANDS,
    AGE_SHARES,
    CATEGORIES,
    CITY_TIER_SHARES,
    CITY_TIERS,
    DEVICE_SHARES,
    DEVICES,
    SHARED_TAGS,
    TAGS_PER_CATEGORY,
    SimulationSettings,
)
from pipeline.simulate.world import INTEREST, TASTE

MAX_TAGS = 4


@dataclass(frozen=True)
class Users:
    """Users; the first axis of every array is the user id.

    Attributes:
        age, tier, device: (U,) indices into `AGE_BANDS`, `CITY_TIERS`, `DEVICES`.
        weight: (U,) relative number of impressions on a day.
        joined: (U,) day of the first possible impression; 0 or less for users from before the feed.
        tenure: (U,) days between joining and the end of the feed.
        propensity: (U, TASTE) how readily the user clicks, to be weighed by the domain.
        interest: (2, U, INTEREST) interests at the start and those towards which they turn.
        turn: (U,) radians by which the interests turn in a day.
    """

    age: Array
    tier: Array
    device: Array
    weight: Array
    joined: Array
    tenure: Array
    activity: Array
    propensity: Array
    interest: Array
    turn: Array

    def interest_on(self, users: Array, day: int) -> Array:
        """Interests (n, INTEREST) of users (n,) on a day."""
        angle = (self.turn[users] * day)[:, None]
        mixed: Array = np.cos(angle) * self.interest[0, users] + np.sin(angle) * self.interest[1, users]
        return mixed

    def table(self) -> pl.DataFrame:
        """`users.csv`."""
        return pl.DataFrame(
            {
                "user_id": np.arange(len(self.age)),
                "age_band": pl.Series(np.array(AGE_BANDS)[self.age]),
                "city_tier": np.array(CITY_TIERS)[self.tier],
                "device": pl.Series(np.array(DEVICES)[self.device]),
                "activity": self.activity,
                "tenure_days": self.tenure,
            }
        )


@dataclass(frozen=True)
class Items:
    """Items; the first axis of every array is the item id.

    Attributes:
        author: (I,) author id; category: (I,) index into `CATEGORIES`.
        log_duration: (I,) z-score of the log of the duration.
        published: (I,) day of the first possible impression; 0 or less for items from before the feed.
        weight: (I,) popularity.
        tag_effect: (I,) unit-variance effect of the tags.
        appeal: (I, TASTE) how readily the item is clicked, to be weighed by the domain.
        character: (I, INTEREST) what the users' interests are matched with.
    """

    author: Array
    category: Array
    duration: Array
    log_duration: Array
    published: Array
    age: Array
    weight: Array
    tags: Array
    tag_effect: Array
    appeal: Array
    character: Array

    def table(self, categories: int) -> pl.DataFrame:
        """`items.csv`."""
        names = np.array([*tag_names(categories), ""])
        lists = [";".join(filter(None, row)) for row in names[self.tags].tolist()]
        return pl.DataFrame(
            {
                "item_id": np.arange(len(self.author)),
                "author_id": self.author,
                "category": pl.Series(np.array(CATEGORIES)[self.category]),
                "duration_s": self.duration,
                "age_days": self.age,
                "tags": lists,
            }
        )


def tag_names(categories: int) -> list[str]:
    """All tags: first those of every category in turn, then those that any item may have."""
    own = [
        f"{name}-{number}" for name in CATEGORIES[:categories] for number in range(1, TAGS_PER_CATEGORY + 1)
    ]
    return own + list(SHARED_TAGS)


def draw_users(rng: np.random.Generator, settings: SimulationSettings) -> Users:
    """Users of whom 45 % join during the feed, some of them on the evaluation days only."""
    count, days = settings.users, settings.days
    age = rng.choice(len(AGE_BANDS), count, p=AGE_SHARES)
    tier = rng.choice(len(CITY_TIERS), count, p=CITY_TIER_SHARES)
    weight = rng.lognormal(0, 0.9, count)
    joined = _first_days(rng, count, days, share_new=0.45, mean_before=500)
    # Age and city explain a part of the interests: a cold user's are not unknown altogether.
    by_age = rng.standard_normal((len(AGE_BANDS), INTEREST))
    by_tier = rng.standard_normal((len(CITY_TIERS), INTEREST))
    known = np.sqrt(0.25) * by_age[age] + np.sqrt(0.10) * by_tier[tier]
    personal = np.sqrt(0.65) * rng.standard_normal((2, count, INTEREST))
    return Users(
        age=age,
        tier=tier,
        device=rng.choice(len(DEVICES), count, p=DEVICE_SHARES),
        weight=weight,
        joined=np.floor(joined).astype(np.int64),
        tenure=np.round(days - joined, 2),
        activity=np.round(weight * rng.lognormal(0, 0.4, count), 3),
        propensity=rng.standard_normal((count, TASTE)).astype(np.float32),
        interest=np.stack([known + personal[0], 0.6 * known + personal[1]]).astype(np.float32),
        turn=rng.gamma(2.0, 0.5 / days, count).astype(np.float32),
    )


def draw_items(rng: np.random.Generator, settings: SimulationSettings) -> Items:
    """Items of which half are published during the feed, some of them on the evaluation days only."""
    count, days, categories = settings.items, settings.days, settings.categories
    authors = max(4, count // 6)
    author = np.minimum((authors * rng.random(count) ** 1.5).astype(np.int64), authors - 1)
    usual = rng.integers(categories, size=authors)
    category = np.where(rng.random(count) < 0.7, usual[author], rng.integers(categories, size=count))
    published = _first_days(rng, count, days, share_new=0.5, mean_before=40)
    # Every category has an item from the first day on, whatever the draw.
    category[:categories] = np.arange(categories)
    published[:categories] = -1.0
    log_duration = np.sqrt(0.4) * rng.standard_normal(categories)[category] + np.sqrt(
        0.6
    ) * rng.standard_normal(count)
    tags = _draw_tags(rng, category, categories)
    tag_values = rng.standard_normal((categories * TAGS_PER_CATEGORY + len(SHARED_TAGS), 1 + INTEREST))
    by_tag = _mean_of_tags(tags, tag_values)
    character = (
        np.sqrt(0.40) * rng.standard_normal((categories, INTEREST))[category]
        + np.sqrt(0.15) * rng.standard_normal((authors, INTEREST))[author]
        + np.sqrt(0.15) * by_tag[:, 1:]
        + np.sqrt(0.30) * rng.standard_normal((count, INTEREST))
    )
    appeal = np.sqrt(0.4) * rng.standard_normal((authors, TASTE))[author] + np.sqrt(
        0.6
    ) * rng.standard_normal((count, TASTE))
    return Items(
        author=author,
        category=category,
        duration=np.round(np.exp(3.4 + 0.8 * log_duration), 1),
        log_duration=log_duration,
        published=np.floor(published).astype(np.int64),
        age=np.round(days - published, 2),
        weight=rng.pareto(1.6, count) + 0.3,
        tags=tags,
        tag_effect=by_tag[:, 0],
        appeal=appeal.astype(np.float32),
        character=character.astype(np.float32),
    )


def _first_days(
    rng: np.random.Generator, count: int, days: int, share_new: float, mean_before: float
) -> Array:
    """Time, in days since the start of the feed, at which users join or items are published."""
    during = rng.uniform(0, days, count)
    before = -rng.exponential(mean_before, count)
    return np.where(rng.random(count) < share_new, during, before)


def _draw_tags(rng: np.random.Generator, category: Array, categories: int) -> Array:
    """Up to MAX_TAGS different tags per item (I, MAX_TAGS) as indices; -1 fills the rest."""
    first = category * TAGS_PER_CATEGORY
    offsets = rng.permuted(np.tile(np.arange(TAGS_PER_CATEGORY), (len(category), 1)), axis=1)
    tags = first[:, None] + offsets[:, :MAX_TAGS]
    other = categories * TAGS_PER_CATEGORY + rng.integers(len(SHARED_TAGS), size=len(category))
    tags[:, 1] = np.where(rng.random(len(category)) < 0.5, other, tags[:, 1])
    number = rng.integers(1, MAX_TAGS + 1, len(category))
    tags[np.arange(MAX_TAGS)[None, :] >= number[:, None]] = -1
    return tags


def _mean_of_tags(tags: Array, values: Array) -> Array:
    """Sum of the tags' values over the root of their number: variance one for any number of tags."""
    padded = np.vstack([values, np.zeros((1, values.shape[1]))])
    return padded[tags].sum(axis=1) / np.sqrt((tags >= 0).sum(axis=1))[:, None]
