"""Who sees what, where, when and at which position: everything of an impression that precedes its click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Array
from pipeline.simulate.population import Items, Users
from pipeline.simulate.settings import DAY_MS, POSITIONS
from pipeline.simulate.world import Domains

# Chances of a user being a member of 1, 2, ... domains.
_MEMBERSHIPS = np.array([0.46, 0.27, 0.14, 0.07, 0.04, 0.02])
# A new item is shown this much more often on the day of its publication, and e times less extra per 3 days.
_NOVELTY = 4.0
_NOVELTY_DAYS = 3.0


@dataclass(frozen=True)
class Impressions:
    """Impressions of one day before they are answered; every array has shape (n,)."""

    day: int
    domain: Array
    user: Array
    item: Array
    position: Array

    def __len__(self) -> int:
        return len(self.domain)

    def take(self, order: Array) -> Impressions:
        return Impressions(
            self.day, self.domain[order], self.user[order], self.item[order], self.position[order]
        )


class Exposure:
    """Draws impressions: users from the members of a domain by activity, items by category and popularity.

    A user is a member of few domains, larger domains having more members, and appears from the day of joining
    on; an item appears from the day of its publication on, most often when new.

    Args:
        rng: source of randomness of the memberships.
        domains, users, items: the world.
    """

    def __init__(self, rng: np.random.Generator, domains: Domains, users: Users, items: Items):
        self._domains = domains
        self._items = items
        domain, user = _memberships(rng, domains, users)
        # Members of a domain in the order of joining: those of a day are then a prefix.
        order = np.lexsort((users.joined[user], domain))
        domain, self._members = domain[order], user[order]
        self._joined = users.joined[self._members]
        self._starts = np.searchsorted(domain, np.arange(len(domains.rows) + 1))
        self._weights = np.concatenate([[0.0], np.cumsum(users.weight[self._members])])
        self._by_category = np.argsort(items.category, kind="stable")
        categories = domains.categories.shape[1]
        self._category_starts = np.searchsorted(items.category[self._by_category], np.arange(categories + 1))
        self._position_shares = np.cumsum(_position_shares())

    def draw(self, rng: np.random.Generator, day: int, rows: Array) -> Impressions:
        """Impressions of a day, in the order of the domains.

        Args:
            rng: source of randomness.
            day: number of the day, from 0.
            rows: (D,) number of impressions per domain.
        """
        domain = np.repeat(np.arange(len(rows)), rows)
        count = len(domain)
        return Impressions(
            day=day,
            domain=domain,
            user=self._draw_users(rng, day, domain),
            item=self._draw_items(rng, day, domain),
            position=1 + np.searchsorted(self._position_shares, rng.random(count)).clip(max=POSITIONS - 1),
        )

    def _draw_users(self, rng: np.random.Generator, day: int, domain: Array) -> Array:
        present = np.concatenate([[0], np.cumsum(self._joined <= day)])
        ends = self._starts[:-1] + present[self._starts[1:]] - present[self._starts[:-1]]
        low, high = self._weights[self._starts[:-1]], self._weights[ends]
        mark = low[domain] + rng.random(len(domain)) * (high - low)[domain]
        place = np.searchsorted(self._weights, mark, side="right") - 1
        return self._members[np.clip(place, self._starts[domain], ends[domain] - 1)]

    def _draw_items(self, rng: np.random.Generator, day: int, domain: Array) -> Array:
        items = self._by_category
        since = day - self._items.published[items]
        novelty = 1 + _NOVELTY * np.exp(-np.maximum(since, 0) / _NOVELTY_DAYS)
        weight = np.where(since >= 0, self._items.weight[items] * novelty, 0.0)
        weights = np.concatenate([[0.0], np.cumsum(weight)])
        category = _choose(rng, self._domains.categories, domain)
        first, last = self._category_starts[category], self._category_starts[category + 1]
        mark = weights[first] + rng.random(len(domain)) * (weights[last] - weights[first])
        place = np.searchsorted(weights, mark, side="right") - 1
        return items[np.clip(place, first, last - 1)]


def clock(rng: np.random.Generator, count: int, part: int, parts: int) -> Array:
    """Sorted milliseconds since midnight of `count` impressions in the given part of a day's traffic.

    The traffic follows the hours: a trough at 5, a peak at 20 o'clock. Later parts are strictly later, so the
    parts of a day can be drawn one after the other.
    """
    hours = np.linspace(0, 24, 24 * 60 + 1)
    density = (
        1 + 0.55 * np.cos((hours - 20) * 2 * np.pi / 24) + 0.15 * np.cos((hours - 12.5) * 4 * np.pi / 24)
    )
    traffic = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    traffic /= traffic[-1]
    share = np.sort((part + rng.random(count)) / parts)
    return np.minimum(np.interp(share, traffic, hours / 24 * DAY_MS).astype(np.int64), DAY_MS - 1)


def _memberships(rng: np.random.Generator, domains: Domains, users: Users) -> tuple[Array, Array]:
    """Pairs of domain and user: mostly one to three domains per user, some members in every domain."""
    count, total = len(domains.rows), len(users.age)
    number = 1 + rng.choice(len(_MEMBERSHIPS), total, p=_MEMBERSHIPS / _MEMBERSHIPS.sum())
    user = np.repeat(np.arange(total), number)
    share = domains.rows**0.8
    bounds = np.cumsum(share / share.sum())
    domain = np.searchsorted(bounds, rng.random(len(user))).clip(max=count - 1)
    least = int(np.clip(total // count, 1, 8))
    # The smallest domains get members too, and every domain one who was there before the feed began.
    veterans = np.flatnonzero(users.joined <= 0)
    if not len(veterans):
        veterans = np.array([int(users.joined.argmin())])
    extra_domain = np.concatenate([np.repeat(np.arange(count), least), np.arange(count)])
    extra_user = np.concatenate([rng.integers(total, size=count * least), rng.choice(veterans, count)])
    crowded = np.bincount(domain, minlength=count) >= least
    needed = ~crowded[extra_domain] | (np.arange(len(extra_domain)) >= count * least)
    pairs = np.unique(
        np.concatenate([domain, extra_domain[needed]]) * total + np.concatenate([user, extra_user[needed]])
    )
    return pairs // total, pairs % total


def _position_shares() -> Array:
    shares = np.arange(1, POSITIONS + 1) ** -0.6
    normalised: Array = shares / shares.sum()
    return normalised


def _choose(rng: np.random.Generator, shares: Array, row: Array) -> Array:
    """One index per entry of `row` (n,), drawn by the shares (rows, choices) of that row."""
    choices = shares.shape[1]
    bounds = (np.cumsum(shares, axis=1) + np.arange(len(shares))[:, None]).ravel()
    place = np.searchsorted(bounds, row + rng.random(len(row)), side="right")
    return np.clip(place - row * choices, 0, choices - 1)
