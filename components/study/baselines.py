"""Simple systems that a model must beat to be worth its keep, evaluated on the same rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from components.study.document import Baseline
from components.study.sample import Sample, auc_by, categorical_column, column_of, evenly, known, one_auc
from models.features import FeatureLayout
from models.metrics import log_loss
from models.rows import RowSource
from models.settings import ModelSettings, TrainingSettings

# Impressions that the domain's click rate counts for in the rate of an item with few of its own.
PRIOR_ROWS = 20.0


def evaluated(
    name: str, description: str, sample: Sample, prediction: np.ndarray, names: Sequence[str]
) -> Baseline:
    """A baseline with its scores.

    Args:
      sample: the rows.
      prediction: click probability of each, (rows,).
      names: of the domains.
    """
    by_domain = auc_by(sample.domain, prediction, sample.label)
    aucs = {names[d]: known(auc) for d, auc in zip(by_domain.group, by_domain.auc, strict=True)}
    return Baseline(
        name=name,
        description=description,
        overall_auc=one_auc(prediction, sample.label)[0],
        log_loss=log_loss(sample.label, prediction) if len(sample.label) else None,
        domains=aucs,
    )


def click_rate(
    train_rows: RowSource, sample: Sample, layout: FeatureLayout, most: int = 2_000_000
) -> Baseline:
    """The click rate that the row's item had in the row's domain.

        p(i, d) = (clicks(i, d) + s rate(d)) / (rows(i, d) + s),  rate(d) = (clicks(d) + 1) / (rows(d) + 2)

    Without an item among the features it is `rate(d)`: no ranking within a domain.

    Args:
      train_rows: the training split.
      sample: the rows to judge.
      layout: names the item's feature.
      most: training rows that are counted, evenly spread.
    """
    began = time.monotonic()
    index = evenly(len(train_rows.domain), most)
    domain, label = np.asarray(train_rows.domain[index]), np.asarray(train_rows.label[index], np.float64)
    count = layout.domain_count
    rate = (np.bincount(domain, label, count) + 1) / (np.bincount(domain, minlength=count) + 2)
    if layout.item is None:
        prediction, what = rate[sample.domain], "of the domain"
    else:
        column = column_of(layout, layout.item)
        pairs = categorical_column(train_rows, index, column) * count + domain
        seen, place = np.unique(pairs, return_inverse=True)
        clicks, rows = np.bincount(place, label), np.bincount(place)
        asked = sample.categorical(column) * count + sample.domain
        at = np.clip(np.searchsorted(seen, asked), 0, len(seen) - 1)
        hit = seen[at] == asked
        prior = PRIOR_ROWS * rate[sample.domain]
        prediction = (np.where(hit, clicks[at], 0) + prior) / (np.where(hit, rows[at], 0) + PRIOR_ROWS)
        what = f"of the {layout.item} in the domain"
    text = f"the click rate {what}, over {len(index):,} training rows, smoothed"
    baseline = evaluated("past click rate", text, sample, prediction, layout.domains)
    return baseline.model_copy(update={"seconds": time.monotonic() - began})


def mlp(
    train_rows: RowSource,
    sample: Sample,
    layout: FeatureLayout,
    model: ModelSettings,
    training: TrainingSettings,
    most: int = 100_000,
) -> Baseline:
    """One tower over all domains on the model's own inputs, once over the training rows, with the model's rates.

    A baseline, not a competitor: neither its epochs nor its settings are chosen.

    Args:
      train_rows: the training split.
      sample: the rows to judge.
      layout: what a row has.
      model: the run's model, whose sizes and inputs are taken over.
      training: the run's training, whose rates and batch are taken over.
      most: training rows used, evenly spread.
    """
    from models.prediction import Predictor
    from models.registry import build_model
    from models.training import train

    began = time.monotonic()
    rows = Subset(train_rows, evenly(len(train_rows.domain), most))
    network = build_model(layout, model.model_copy(update={"name": "mlp", "options": {}}), seed=training.seed)
    once = {"epochs": 1, "schedule": "mixed", "refit": False, "checkpoint_steps": 1 << 30}
    train(network, rows, None, training.model_copy(update=once))
    logit = Predictor(network).predict(Subset(sample.source, sample.index)).astype(np.float64)
    text = f"one tower for all domains on the same inputs, once over {len(rows.domain):,} training rows"
    baseline = evaluated("MLP", text, sample, 1 / (1 + np.exp(-logit)), layout.domains)
    return baseline.model_copy(update={"seconds": time.monotonic() - began})


class Subset:
    """Some rows of a source.

    Args:
      source: the rows.
      index: int64 (n,), which of them.
    """

    def __init__(self, source: RowSource, index: np.ndarray) -> None:
        self._source, self._index = source, index
        self.domain = np.asarray(source.domain[index])
        self.label = np.asarray(source.label[index])

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The row tensors of indices of any shape."""
        return self._source.gather(self._index[indices])
