"""Reads the packed rows' layout, and what the analysis says about its tables, from a Transform graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.dataset.declaration import Declaration
from components.transform.analyser import SUMMARY
from components.transform.transform_plan import make_plan
from models.features import CategoricalFeature, FeatureLayout

_ASSETS = "transform_fn/assets"


def asset_path(transform_graph: str | Path, name: str) -> str:
    """Path of an asset of a `transform_graph` artifact.

    >>> asset_path("out/Transform/transform_graph/4", "vocabulary.csv")
    'out/Transform/transform_graph/4/transform_fn/assets/vocabulary.csv'
    """
    return f"{transform_graph}/{_ASSETS}/{name}"


def read_summary(transform_graph: str | Path) -> dict[str, Any]:
    """Sizes of the vocabularies, the domains with their training rows, and for each key of averages how many values
    are kept, how many (and how many rows) were dropped, and the strength of its shrinkage at the end of training."""
    with tf.io.gfile.GFile(asset_path(transform_graph, SUMMARY)) as file:
        return json.load(file)


def read_layout(transform_graph: str | Path, declaration: Declaration) -> FeatureLayout:
    """The layout of the rows that a Transform graph makes.

    Args:
      transform_graph: the artifact's directory.
      declaration: the one that Transform ran with.
    """
    summary, plan = read_summary(transform_graph), make_plan(declaration)
    vocabularies = {vocabulary.name: vocabulary for vocabulary in plan.vocabularies[1:]}
    quantiles = dict(plan.quantiles)
    categorical = []
    for name, treatment in plan.categorical:
        if treatment == "vocabulary":
            vocabulary = vocabularies[name]
            size = 1 + summary["vocabularies"][name] + vocabulary.oov_buckets
            categorical.append(CategoricalFeature(name, size, plan.sources[vocabulary.source].width))
        else:
            categorical.append(CategoricalFeature(name, 1 + quantiles[name]))

    def role(column: str | None) -> str | None:
        return column if column in {name for name, _ in plan.categorical} else None

    return FeatureLayout(
        categorical=tuple(categorical),
        numeric=tuple(name for name, _ in plan.numeric),
        averages=plan.average_names,
        history=plan.history_names,
        domains=tuple(summary["domains"]),
        domain_rows=tuple(summary["domain_rows"]),
        user=role(declaration.user),
        item=role(declaration.item),
        author=role(declaration.author),
    )
