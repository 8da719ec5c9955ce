"""Simple systems that a model must beat to be worth its keep, evaluated on the same rows."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np

from components.comparison.evaluation_rows import evaluation_rows
from components.comparison.lead import Lead
from components.comparison.scores import Scored, user_weights
from components.comparison.significance import average_of, domain_bootstrap, paired_test
from components.study.document import PAST_CLICK_RATE, Baseline, Leads
from components.study.sample import Sample, auc_by, categorical_column, column_of, evenly, known, one_auc
from models.arrays import Array
from models.features import FeatureLayout
from models.metrics import log_loss, log_losses
from models.rows import RowSource
from models.settings import ModelSettings, TrainingSettings

# Impressions that the domain's click rate counts for in the rate of an item with few of its own.
PRIOR_ROWS = 20.0
# Resampled sets of users behind an interval.
SAMPLES = 200


def evaluated(
    name: str, description: str, sample: Sample, prediction: Array, names: Sequence[str]
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
) -> tuple[Baseline, Array]:
    """The click rate that the row's item had in the row's domain.

        p(i, d) = (clicks(i, d) + s rate(d)) / (rows(i, d) + s),  rate(d) = (clicks(d) + 1) / (rows(d) + 2)

    Without an item among the features it is `rate(d)`: no ranking within a domain.

    Args:
      train_rows: the training split.
      sample: the rows to judge.
      layout: names the item's feature.
      most: training rows that are counted, evenly spread.

    Returns:
      The baseline, and its click probabilities of the sample (rows,).
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
    baseline = evaluated(PAST_CLICK_RATE, text, sample, prediction, layout.domains)
    return baseline.model_copy(update={"seconds": time.monotonic() - began}), prediction


def mlp(
    train_rows: RowSource,
    validation_rows: RowSource,
    sample: Sample,
    layout: FeatureLayout,
    model: ModelSettings,
    training: TrainingSettings,
    seed: int = 1,
) -> tuple[Baseline, Array]:
    """One tower over all domains on the model's own inputs, trained as the model is: same rows, epochs, stopping.

    So it is the comparison's MLP before any search, and report and comparison say the same of the two.

    Args:
      train_rows, validation_rows: the model's.
      sample: the rows to evaluate.
      layout: what a row has.
      model: the run's model, whose sizes and inputs are taken over.
      training: the run's training.
      seed: of its initial weights and the order of its rows.

    Returns:
      The baseline, and its click probabilities of the sample (rows,).
    """
    from models.prediction import Predictor
    from models.registry import build_model
    from models.training import train

    began = time.monotonic()
    network = build_model(layout, model.model_copy(update={"name": "mlp", "options": {}}), seed=seed)
    without_checkpoints = training.model_copy(update={"checkpoint_steps": 1 << 30})
    result = train(network, train_rows, validation_rows, without_checkpoints, seed=seed)
    logit = Predictor(network).predict(Subset(sample.source, sample.index)).astype(np.float64)
    prediction = 1 / (1 + np.exp(-logit))
    text = f"one tower for all domains on the same inputs, trained as the model is; epoch {result.best_epoch} of it"
    baseline = evaluated("MLP", text, sample, prediction, layout.domains)
    return baseline.model_copy(update={"seconds": time.monotonic() - began}), prediction


def trees(
    train_rows: RowSource,
    validation_rows: RowSource,
    sample: Sample,
    layout: FeatureLayout,
    model: ModelSettings,
    training: TrainingSettings,
    seed: int = 1,
) -> tuple[Baseline, Array | None]:
    """LightGBM on the model's own rows and inputs: the comparison's trees, with the settings they have there.

    Args:
      train_rows, validation_rows: the model's.
      sample: the rows to evaluate.
      layout: what a row has.
      model: the run's model, whose inputs are taken over.
      training: the run's training.
      seed: of the rows and columns that each tree sees.

    Returns:
      The baseline, and its click probabilities of the sample (rows,). Where LightGBM cannot be loaded, or is left
      without an input, a baseline without figures that says so, and None.
    """
    from models.gbdt import OPTIONS, NoInputError, fit
    from models.registry import TREES

    began = time.monotonic()
    options = {name: value for name, value in model.options.items() if name in OPTIONS}
    named = model.model_copy(update={"name": TREES, "options": options})
    try:
        # More threads than one cost more than they save on few rows.
        found = fit(train_rows, validation_rows, layout, named, training, seed=seed, threads=1)
    except (ImportError, OSError) as error:
        remedy = " (Debian, Ubuntu: apt-get install libgomp1)" if "libgomp" in str(error) else ""
        return Baseline(name="LightGBM", description=f"not trained: {error}{remedy}"), None
    except NoInputError as error:
        return Baseline(name="LightGBM", description=f"not trained: {error}"), None
    rows = Subset(sample.source, sample.index)
    prediction = found.predict(rows.gather(np.arange(len(rows.domain))), rows.domain)
    text = f"gradient-boosted trees on the same inputs, {found.rounds} of them as the validation days choose"
    baseline = evaluated("LightGBM", text, sample, prediction, layout.domains)
    return baseline.model_copy(update={"seconds": time.monotonic() - began}), prediction


def leads(
    sample: Sample,
    other: Array,
    layout: FeatureLayout,
    order: Sequence[int],
    seed: int,
    least: int = 1,
    together: bool = False,
) -> Leads:
    """How far the model is ahead of another system, with its interval, for each set of domains that may decide.

    Args:
      sample: the rows, with the model's predictions.
      other: the other's, (rows,).
      layout: names the user, over whom is resampled; rows without one are users of their own.
      order: the domains that may decide, those that do at the highest numbers of rows first.
      seed: of the resampling.
      least: rows that a domain needs in the sample; where one has less, it and those after it are left out.
      together: whether the leads over all rows together are worked out.
    """
    rows = evaluation_rows(Subset(sample.source, sample.index), layout, least)
    counted = rows.counted()
    columns = [counted.index(domain) for domain in itertools.takewhile(counted.__contains__, order)]
    own, others = (Scored(rows, np.asarray(score, np.float64)) for score in (sample.prediction, other))
    weights = user_weights(rows.user, SAMPLES, seed)
    found = Leads()
    if together:
        found = Leads(overall=_overall(own, others, weights), log_loss=_log_loss(own, others, weights))
    if not columns:
        return found
    samples, theirs = domain_bootstrap([own], weights), domain_bootstrap([others], weights)
    domains = [counted[column] for column in columns]
    gains = [(own.domain_auc(d) or 0.0) - (others.domain_auc(d) or 0.0) for d in domains]
    over = [
        _lead(
            float(np.mean(gains[:number])),
            *(average_of(drawn[:, columns[:number]]) for drawn in (samples, theirs)),
        )
        for number in range(1, len(columns) + 1)
    ]
    within = {
        layout.domains[domain]: _lead(gain, samples[:, column], theirs[:, column])
        for domain, gain, column in zip(domains, gains, columns, strict=True)
    }
    return found.model_copy(update={"within": within, "over": over})


def _overall(own: Scored, others: Scored, weights: Sequence[Array]) -> Lead | None:
    gain = [own.overall_auc(), others.overall_auc()]
    if gain[0] is None or gain[1] is None:
        return None
    drawn = [np.array([scored.overall_auc(w) for w in weights], float) for scored in (own, others)]
    return _lead(gain[0] - gain[1], *drawn)


def _log_loss(own: Scored, others: Scored, weights: Sequence[Array]) -> Lead | None:
    label = own.rows.label
    if not len(label):
        return None
    more = log_losses(label, others.score) - log_losses(label, own.score)
    drawn = np.array([np.average(more, weights=w) for w in weights])
    return _lead(float(more.mean()), drawn, np.zeros(len(drawn)))


def _lead(gain: float, own: Array, others: Array) -> Lead:
    test = paired_test(gain, own, others)
    return Lead(difference=test.difference, low=test.low, high=test.high)


class Subset:
    """Some rows of a source.

    Args:
      source: the rows.
      index: int64 (n,), which of them.
    """

    def __init__(self, source: RowSource, index: Array) -> None:
        self._source, self._index = source, index
        self.domain = np.asarray(source.domain[index])
        self.label = np.asarray(source.label[index])

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors of indices of any shape."""
        return self._source.gather(self._index[indices])
