"""Small layouts and random rows that the tests of models share."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.base import DomainModel, GroupedBatch
from models.features import CategoricalFeature, FeatureLayout
from models.rows import ArrayRows


def small_layout(domains: int = 3, averages: int = 2, history: int = 0) -> FeatureLayout:
    """User, item, an author list of width 2, a plain feature, two numbers."""
    return FeatureLayout(
        categorical=(
            CategoricalFeature("user_id", 11),
            CategoricalFeature("tag", 5, width=2),
            CategoricalFeature("video_id", 13),
            CategoricalFeature("device", 4),
            CategoricalFeature("author_id", 7),
        ),
        numeric=("duration", "age"),
        averages=tuple(f"average.{i}" for i in range(averages)),
        history=tuple(f"history.{i}" for i in range(history)),
        domains=tuple(f"tab{i}" for i in range(domains)),
        domain_rows=tuple(range(domains * 100, 0, -100)),
        user="user_id",
        item="video_id",
        author="author_id",
    )


def off_zero(model: DomainModel, scale: float = 0.3) -> None:
    """Gives the output layers, which start at zero, small weights: at zero nothing below them has a gradient."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name.endswith(("_head/unit/kernel:0", "/head/kernel:0", "/star_unit/kernel:0")):
            variable.assign_add(rng.normal(0, scale, variable.shape).astype(np.float32))


def random_rows(layout: FeatureLayout, leading: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of any leading shape: ids within their sizes, missing ones among them, and normal numbers."""
    rng = np.random.default_rng(seed)
    rows: dict[str, np.ndarray] = {}
    if layout.categorical:
        columns = [
            rng.integers(0, feature.size, (*leading, feature.width), dtype=np.int64)
            for feature in layout.categorical
        ]
        rows["categorical"] = np.concatenate(columns, axis=-1)
    for key, shape in layout.row_shapes().items():
        if key != "categorical":
            rows[key] = rng.normal(size=(*leading, *shape)).astype(np.float32)
    return rows


def random_batch(layout: FeatureLayout, groups: int, size: int, seed: int = 0) -> GroupedBatch:
    """A grouped batch whose last group has one row of padding."""
    rng = np.random.default_rng(seed)
    weights = np.ones((groups, size), np.float32)
    if size > 1:
        weights[-1, -1] = 0
    rows = {key: tf.constant(value) for key, value in random_rows(layout, (groups, size), seed).items()}
    domains = rng.integers(0, layout.domain_count, groups).astype(np.int32)
    return rows, tf.constant(domains), tf.constant(weights)


def learnable_rows(layout: FeatureLayout, count: int, seed: int = 0) -> ArrayRows:
    """Rows of uneven domains whose labels depend on a feature, a number and the domain."""
    rng = np.random.default_rng(seed)
    rows = random_rows(layout, (count,), seed)
    share = 0.5 ** np.arange(layout.domain_count)
    domain = rng.choice(layout.domain_count, count, p=share / share.sum())
    device = rows["categorical"][:, 4]
    logit = 1.5 * (device % 2) - 1 + rows["numeric"][:, 0] * (1 + domain % 2) - 0.5 * domain
    label = rng.random(count) < 1 / (1 + np.exp(-logit))
    return ArrayRows(rows, domain.astype(np.int32), label.astype(np.float32))
