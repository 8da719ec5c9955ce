"""Logs as strangers keep them: other columns, formats and habits than the data sets that come with the project."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
SECTIONS = tuple(
    f"{kind}-{part}" for kind in ("home", "search", "deals", "garden", "kids") for part in "abcde"
)
_FILM_START_S = 1_577_836_800  # 1 January 2020
_SHOP_START = np.datetime64("2024-03-04T00:00:00", "ms")
_CATEGORIES = (
    "electronics.phone",
    "electronics.audio",
    "home.kitchen",
    "home.bath",
    "toys",
    "garden",
    "apparel.shoes",
)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def film_log(folder: Path, rows: int = 60_000, days: int = 40, seed: int = 0) -> None:
    """Ratings of 1 to 5 by people of 21 occupations, films with lists of genres; the liking follows both.

    Writes ratings.csv (seconds since 1970), movies.csv and users.csv.
    """
    rng = np.random.default_rng(seed)
    users, films = 900, 700
    folder.mkdir(parents=True, exist_ok=True)
    occupation = rng.choice(21, users, p=np.arange(21, 0, -1) / np.arange(21, 0, -1).sum())
    has_genre = rng.random((films, len(GENRES))) < 0.14
    has_genre[np.arange(films), rng.integers(0, len(GENRES), films)] = True
    quality = rng.normal(0, 0.9, films)
    taste = rng.normal(0, 1.0, (21, len(GENRES)))
    own_taste = rng.normal(0, 0.6, (users, len(GENRES)))
    kindness = rng.normal(0, 0.7, users)

    user = rng.choice(users, rows, p=_zipf(users, 0.6, rng))
    film = rng.choice(films, rows, p=_zipf(films, 0.8, rng))
    match = (has_genre[film] * (taste[occupation[user]] + own_taste[user])).sum(1) / has_genre[film].sum(1)
    liking = 0.4 + kindness[user] + quality[film] + match + rng.normal(0, 0.8, rows)
    rating = np.clip(np.round(3.2 + liking), 1, 5).astype(int)
    at = _FILM_START_S + np.sort(rng.integers(0, days * 86_400, rows))
    pl.DataFrame({"userId": user + 1, "movieId": film * 3 + 7, "rating": rating, "timestamp": at}).write_csv(
        folder / "ratings.csv"
    )
    pl.DataFrame(
        {
            "movieId": np.arange(films) * 3 + 7,
            "title": [f"Film, no. {number} ({1950 + number % 70})" for number in range(films)],
            "genres": ["|".join(np.array(GENRES)[row]) for row in has_genre],
        }
    ).write_csv(folder / "movies.csv")
    pl.DataFrame(
        {
            "userId": np.arange(users) + 1,
            "gender": rng.choice(["F", "M"], users),
            "age": rng.choice([1, 18, 25, 35, 45, 50, 56], users),
            "occupation": occupation,
            "zip": [f"{code:05d}" for code in rng.integers(0, 99_999, users)],
        }
    ).write_csv(folder / "users.csv")


def shop_log(folder: Path, rows: int = 60_000, days: int = 21, seed: int = 0) -> None:
    """Product views in 25 sections of a shop, one table in two Parquet files, local times with an offset.

    `basket_value` is only there when something was bought, `dwell_seconds` is known afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    table = next(shop_rows(rng, rows, rows, days))
    half = rows // 2
    table[:half].write_parquet(folder / "events-1.parquet")
    table[half:].write_parquet(folder / "events-2.parquet")


def shop_rows(rng: np.random.Generator, rows: int, block: int, days: int) -> Iterator[pl.DataFrame]:
    """The shop's rows in order of time, a block at a time."""
    visitors, goods = max(1_000, rows // 40), max(800, rows // 200)
    section_rate = rng.normal(-1.6, 0.8, len(SECTIONS))
    price = np.round(rng.lognormal(3, 1, goods), 2)
    appeal = rng.normal(0, 0.9, goods) - 0.15 * np.log1p(price)
    category = rng.integers(0, len(_CATEGORIES), goods)
    keen = rng.normal(0, 0.9, visitors)
    fits = rng.normal(0, 0.7, (len(SECTIONS), len(_CATEGORIES)))
    section_share = _zipf(len(SECTIONS), 0.9, rng)
    for start in range(0, rows, block):
        size = min(block, rows - start)
        visitor = rng.integers(0, visitors, size)
        item = (goods * rng.random(size) ** 1.6).astype(np.int64)
        section = rng.choice(len(SECTIONS), size, p=section_share)
        logit = section_rate[section] + keen[visitor] + appeal[item] + fits[section, category[item]]
        bought = rng.random(size) < _sigmoid(logit + 0.6)
        dwell = np.round(rng.gamma(2, 6 + 8 * bought), 1)
        offset = (start + np.arange(size)) / rows * days * 86_400_000
        at = (_SHOP_START + offset.astype("timedelta64[ms]")).astype("datetime64[s]")
        yield pl.DataFrame(
            {
                "event uuid": [str(uuid.UUID(int=int(n))) for n in rng.integers(0, 2**62, size)]
                if size <= 200_000
                else pl.Series(rng.integers(0, 2**62, size)).cast(pl.String),
                "shown_at": np.char.add(np.datetime_as_string(at), "+02:00"),
                "visitor_id": pl.Series(visitor).hash(seed=1).cast(pl.String),
                "sku": pl.Series(item).cast(pl.String).str.pad_start(7, "0"),
                "Price ($)": price[item],
                "category_code": np.array(_CATEGORIES)[category[item]],
                "site_section": np.array(SECTIONS)[section],
                "device type": rng.choice(["phone", "tablet", "desktop"], size),
                "purchased": bought.astype(np.int8),
                "dwell_seconds": dwell,
                "basket_value": pl.Series(price[item] * 1.2).set(pl.Series(~bought), None),
            }
        )


def _zipf(count: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1) ** exponent
    return rng.permutation(weights / weights.sum())
