"""The true click probability of an impression, and what the user does after the click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Array
from pipeline.simulate.exposure import Exposure, Impressions
from pipeline.simulate.population import Items, Users
from pipeline.simulate.settings import POSITIONS, Strengths
from pipeline.simulate.world import Domains

_PILOT_ROWS = 2_000


@dataclass(frozen=True)
class World:
    """All that is drawn once for a feed."""

    domains: Domains
    users: Users
    items: Items
    exposure: Exposure
    strengths: Strengths
    days: int


@dataclass(frozen=True)
class Answers:
    """What follows the impressions; every array has shape (n,)."""

    probability: Array
    click: Array
    long_view: Array
    dwell_ratio: Array


def effects(world: World, rows: Impressions) -> Array:
    """The logit (n,) of a click without the domain's base rate and drift.

    The sum of what features show (`known_effects`) and of what only behaviour reveals: the user's propensity
    and the item's appeal, both weighed by the domain's loadings, and the match of the user's interests on
    that day with the item's character, `sum_k w_dk z_uk(t) q_ik`. The domain's sharpness scales the sum.
    """
    domains, users, items, s = world.domains, world.users, world.items, world.strengths
    d, u, i = rows.domain, rows.user, rows.item
    hidden = (
        s.propensity * np.einsum("nk,nk->n", users.propensity[u], domains.propensity[d])
        + s.appeal * np.einsum("nk,nk->n", items.appeal[i], domains.appeal[d])
        + s.interest
        * np.einsum("nk,nk,nk->n", domains.interest[d], users.interest_on(u, rows.day), items.character[i])
    )
    total: Array = domains.sharpness[d] * (known_effects(world, rows) + hidden)
    return total


def known_effects(world: World, rows: Impressions) -> Array:
    """The part (n,) of the logit that the declared features determine, domain by domain."""
    domains, users, items, s = world.domains, world.users, world.items, world.strengths
    d, u, i = rows.domain, rows.user, rows.item
    age = np.maximum(items.age[i] - (world.days - rows.day - 0.5), 0.0)
    total: Array = (
        s.match * domains.match[d, users.age[u], items.category[i]]
        + s.device * domains.device[d, users.device[u]]
        + s.tier * domains.tier[d, users.tier[u]]
        - s.position * domains.position[d] * _position_scores()[rows.position - 1]
        - s.duration * ((items.log_duration[i] - domains.duration[d]) ** 2 - 1) / 1.5
        - s.freshness * (np.log1p(age) - 2.0)
        + s.tags * items.tag_effect[i]
    )
    return total


def answer(rng: np.random.Generator, world: World, base: Array, rows: Impressions) -> Answers:
    """Draws clicks from the true probabilities, and the behaviours after the click.

    Args:
        rng: source of randomness.
        world: the feed's world.
        base: (D,) logits from `calibrate`.
        rows: the impressions.
    """
    effect = effects(world, rows)
    count = len(rows)
    probability = _sigmoid(base[rows.domain] + world.domains.drift[rows.domain, rows.day] + effect)
    click = rng.random(count) < probability
    # What makes a click likely makes the view long, too; a long item is less often watched to its end.
    length = world.items.log_duration[rows.item]
    stays = rng.random(count) < _sigmoid(-0.4 + 0.8 * effect - 0.3 * length)
    long_view = click & stays
    watched = np.exp(-0.9 + 0.9 * long_view - 0.25 * length + 0.35 * rng.standard_normal(count))
    glance = 0.03 * rng.standard_exponential(count)
    return Answers(
        probability=probability,
        click=click,
        long_view=long_view,
        dwell_ratio=np.where(click, np.minimum(watched, 3.0), np.minimum(glance, 0.3)),
    )


def calibrate(rng: np.random.Generator, world: World) -> Array:
    """Base logits (D,) with which every domain's mean click probability is its target rate.

    Solved by bisection on a pilot sample of the feed's own exposures, spread over the days.
    """
    count, days = len(world.domains.rows), world.days
    per_day = max(4, _PILOT_ROWS // days)
    pilot = np.empty((count, days * per_day), np.float32)
    for day in range(days):
        rows = world.exposure.draw(rng, day, np.full(count, per_day))
        logits = effects(world, rows) + world.domains.drift[rows.domain, day]
        pilot[:, day * per_day : (day + 1) * per_day] = logits.reshape(count, per_day)
    low, high = np.full(count, -20.0), np.full(count, 20.0)
    for _ in range(40):
        middle = (low + high) / 2
        rate = _sigmoid(middle[:, None].astype(np.float32) + pilot).mean(axis=1, dtype=np.float64)
        above = rate > world.domains.click_rate
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return (low + high) / 2


def _position_scores() -> Array:
    """Log positions, centred and scaled to unit variance over the positions."""
    scores = np.log(np.arange(1, POSITIONS + 1))
    standard: Array = (scores - scores.mean()) / scores.std()
    return standard


def _sigmoid(logits: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-logits))
    return result
