"""A small part of KuaiRand's real log as rows of a model, for tests that need real impressions."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.features import CategoricalFeature, FeatureLayout
from models.rows import ArrayRows

ROOT = Path(os.environ.get("KUAIRAND_DIR", "KuaiRand-Pure"))
TABS = (1, 0, 4, 6, 2)
HOUR_MS = 3_600_000
IDS = {"user_id": 4001, "video_id": 4001, "author_id": 2001}
NAMES = ("user_active_degree", "video_type", "upload_type", "tag", "hour", "music_type")


def impressions(first_day: int, last_day: int) -> tuple[FeatureLayout, ArrayRows, ArrayRows]:
    """The layout, the rows of all those days but the last, and the rows of the last, of the five largest tabs.

    Ids are taken modulo a small number of buckets. Skips the test where the data is not on this machine.

    Args:
        first_day: counted from the log's first day, in China's time.
        last_day: same.
    """
    folder = ROOT / "data" if (ROOT / "data").is_dir() else ROOT
    logs = sorted(folder.glob("log_standard_*_pure.csv"))
    if not logs:
        pytest.skip(f"KuaiRand-Pure is not at {ROOT}; name its folder in KUAIRAND_DIR")
    hours = (pl.col("time_ms") + 8 * HOUR_MS) // HOUR_MS
    log = (
        pl.concat([pl.read_csv(path) for path in logs])
        .unique(maintain_order=True)
        .with_columns(day=hours // 24 - hours.min() // 24, hour=hours % 24)
        .filter(pl.col("day").is_between(first_day, last_day) & pl.col("tab").is_in(TABS))
        .join(pl.read_csv(folder / "user_features_pure.csv"), on="user_id", how="left")
        .join(_videos(folder), on="video_id", how="left")
        .sort("time_ms")
    )
    categorical = [(log[name].fill_null(-1).to_numpy() % (size - 1) + 1) for name, size in IDS.items()]
    features = [CategoricalFeature(name, size) for name, size in IDS.items()]
    for name in NAMES:
        codes = log[name].cast(pl.String).cast(pl.Categorical).to_physical().fill_null(0)
        categorical.append(codes.to_numpy().astype(np.int64) + 1)
        features.append(CategoricalFeature(name, int(categorical[-1].max()) + 1))
    numeric = np.log1p(log.select("duration_ms", "register_days").fill_null(0).to_numpy().astype(np.float32))
    rows = {
        "categorical": np.stack(categorical, axis=-1).astype(np.int64),
        "numeric": (numeric - numeric.mean(0)) / numeric.std(0),
    }
    domain = np.array([TABS.index(tab) for tab in log["tab"]], np.int32)
    label = log["is_click"].to_numpy()
    last = (log["day"] == last_day).to_numpy()
    layout = FeatureLayout(
        categorical=tuple(features),
        numeric=("duration_ms", "register_days"),
        domains=tuple(map(str, TABS)),
        domain_rows=tuple(np.bincount(domain[~last], minlength=len(TABS)).tolist()),
        user="user_id",
        item="video_id",
        author="author_id",
    )
    before, after = (
        ArrayRows({key: value[mask] for key, value in rows.items()}, domain[mask], label[mask])
        for mask in (~last, last)
    )
    return layout, before, after


def _videos(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "video_features_basic_pure.csv", infer_schema_length=None)
