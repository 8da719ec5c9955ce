"""The domains of a simulated feed: sizes, click rates, relatives, and their drift over the days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Array
from pipeline.simulate.settings import (
    AGE_BANDS,
    CITY_TIERS,
    DEVICES,
    HIGHEST_CLICK_RATE,
    LOWEST_CLICK_RATE,
    Relatedness,
    SimulationSettings,
)

# Dimensions of the spaces in which users and items differ from domain to domain.
TASTE = 12
INTEREST = 8


@dataclass(frozen=True)
class Domains:
    """Everything that is drawn per domain; the first axis of every array is the domain id.

    Attributes:
        rows: (D,) impressions over all days.
        rows_by_day: (D, days) impressions of each day.
        click_rate: (D,) target mean click rate over all days.
        cluster: (D,) group of related domains.
        drift: (D, days) logits added to every impression of a day, mean zero over the days.
        sharpness: (D,) factor on all effects: how predictable the clicks of the domain are.
        propensity: (D, TASTE) unit loadings on the users' propensities.
        appeal: (D, TASTE) unit loadings on the items' appeals.
        interest: (D, INTEREST) unit weights of the dimensions of interest.
        match: (D, age bands, categories); device: (D, devices); tier: (D, tiers): effects of features.
        position: (D,) relative strength of the position bias; duration: (D,) best log duration (z-score).
        categories: (D, categories) shares of the impressions.
    """

    rows: Array
    rows_by_day: Array
    click_rate: Array
    cluster: Array
    drift: Array
    sharpness: Array
    propensity: Array
    appeal: Array
    interest: Array
    match: Array
    device: Array
    tier: Array
    position: Array
    duration: Array
    categories: Array


def stream(seed: int, *key: int) -> np.random.Generator:
    """An independent generator per place of use, so that one draw more in one place moves no other place."""
    return np.random.default_rng([seed, *key])


def draw_domains(
    rng: np.random.Generator,
    settings: SimulationSettings,
    relatedness: Relatedness,
    daily: float,
    trend: float,
) -> Domains:
    """Draws the domains.

    Args:
        rng: source of randomness.
        settings: size of the feed.
        relatedness: shares of what a domain has in common with all, with its cluster, and alone.
        daily: standard deviation in logits of the day-to-day drift.
        trend: standard deviation in logits of the slope over the whole feed.
    """
    count = settings.domains
    by_rank = rng.permutation(count)
    rows = np.empty(count, np.int64)
    rows[by_rank] = domain_sizes(count, settings.rows)
    rate = np.empty(count)
    rate[by_rank] = _click_rates(rng, count)
    cluster = np.empty(count, np.int64)
    # By rank in turn, so that every cluster has large domains to learn from and small ones to help.
    cluster[by_rank] = np.arange(count) % settings.clusters

    def related(*shape: int) -> Array:
        return related_effects(rng, cluster, relatedness, shape)

    return Domains(
        rows=rows,
        rows_by_day=_rows_by_day(rng, rows, settings.days),
        click_rate=rate,
        cluster=cluster,
        drift=_drift(related, settings.days, daily, trend),
        sharpness=rng.uniform(0.85, 1.25, count),
        propensity=_unit(related(TASTE)),
        appeal=_unit(related(TASTE)),
        interest=_unit(related(INTEREST)),
        match=related(len(AGE_BANDS), settings.categories),
        device=related(len(DEVICES)),
        tier=related(len(CITY_TIERS)),
        position=np.clip(1 + 0.35 * related(), 0.2, None),
        duration=0.6 * related(),
        categories=_softmax(0.9 * related(settings.categories)),
    )


def related_effects(
    rng: np.random.Generator, cluster: Array, relatedness: Relatedness, shape: tuple[int, ...]
) -> Array:
    """Standard normal effects (D, *shape) that correlate over all domains and more so within a cluster."""
    shared = rng.standard_normal((1, *shape))
    groups = rng.standard_normal((int(cluster.max()) + 1, *shape))
    own = rng.standard_normal((len(cluster), *shape))
    return (
        np.sqrt(relatedness.shared) * shared
        + np.sqrt(relatedness.cluster) * groups[cluster]
        + np.sqrt(relatedness.own) * own
    )


def domain_sizes(domains: int, rows: int) -> Array:
    """Impressions per domain in descending order: a truncated power law, with a floor for the smallest.

    The share of rank k is proportional to k^-1.2 exp(-(k - 1) / (D / 2)): with 21 domains and 200,000 rows
    the largest has 45 % of them and the smallest some hundred.
    """
    rank = np.arange(1, domains + 1)
    share = rank**-1.2 * np.exp(-(rank - 1) / (domains / 2))
    floor = max(1, min(100, rows // (10 * domains)))
    spread = rows - floor * domains
    exact = share / share.sum() * spread
    sizes = np.floor(exact).astype(np.int64)
    left = spread - int(sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:left]] += 1
    return np.sort(sizes + floor)[::-1]


def _click_rates(rng: np.random.Generator, count: int) -> Array:
    """Click rates by rank of size, evenly spaced in logits from 1 % to 56 %.

    The extremes go to the second and third largest domain: there are enough rows there to see a rate of 1 %.
    Else larger domains tend to have higher rates.
    """
    ends = np.log(
        [LOWEST_CLICK_RATE / (1 - LOWEST_CLICK_RATE), HIGHEST_CLICK_RATE / (1 - HIGHEST_CLICK_RATE)]
    )
    grid = 1 / (1 + np.exp(-np.linspace(ends[0], ends[1], count)))
    head = [count // 2, 0, count - 1] if count > 2 else [1, 0]
    rest = np.setdiff1d(np.arange(count), head)[::-1]
    rest = rest[np.argsort(np.arange(len(rest)) / count + rng.normal(0, 0.2, len(rest)))]
    return grid[np.concatenate([head, rest]).astype(np.int64)]


def _rows_by_day(rng: np.random.Generator, rows: Array, days: int) -> Array:
    weekday = np.arange(days) % 7
    weight = np.where(weekday >= 5, 1.15, 1.0)
    return rng.multinomial(rows, weight / weight.sum())


def _drift(related: Callable[..., Array], days: int, daily: float, trend: float) -> Array:
    carry = 0.8
    noise = related(days)
    walk = np.empty_like(noise)
    walk[:, 0] = noise[:, 0]
    for day in range(1, days):
        walk[:, day] = carry * walk[:, day - 1] + np.sqrt(1 - carry**2) * noise[:, day]
    slope = related()[:, None] * (np.arange(days) / (days - 1) - 0.5)
    total = daily * walk + trend * slope
    centred: Array = total - total.mean(axis=1, keepdims=True)
    return centred


def _unit(vectors: Array) -> Array:
    scaled: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def _softmax(logits: Array) -> Array:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    normalised: Array = shares / shares.sum(axis=-1, keepdims=True)
    return normalised
