"""Gradient-boosted trees (LightGBM) on the rows that the networks train on: what a practitioner reaches for.

Not a Keras model and not in the registry: `fit` gives an object with `predict`, from the same row sources, and
`ServedTrees` the same answers from TensorFlow operations alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from models.features import FeatureLayout
from models.metrics import score
from models.options import Option
from models.registry import TREES, check_options
from models.rows import JoinedRows, RowSource
from models.settings import ModelSettings, TrainingSettings

# Told after each tree: trees so far, most, validation log loss, whether they are grown once more on all rows.
Grown: TypeAlias = Callable[[int, int, float | None, bool], None]

Rows = Mapping[str, npt.NDArray[Any]]
DOMAIN = "(domain)"
# By name in `ModelSettings.options`.
OPTIONS: Mapping[str, Option] = {
    "most_categories": Option(100, least=0),
    "rounds": Option(500),
    "patience": Option(50),
    "tree_learning_rate": Option(0.05, least=1e-6),
    "leaves": Option(31, least=2, most=131_072),
    "min_leaf_rows": Option(50, least=0),
    "row_share": Option(0.8, least=0.001, most=1),
    "feature_share": Option(0.8, least=0.001, most=1),
    "category_smoothing": Option(10.0, least=0),
}
_READ_AT_ONCE = 65536


class NoInputError(ValueError):
    """The settings leave the trees nothing to split by."""


class FeatureMatrix:
    """Rows as one matrix with a column per input; the layout's settings hold as for the networks.

    Columns in order: the domain's index, every categorical column (a list-valued feature takes its width),
    numbers, Transform's averages, the user's history. Categorical columns keep their ids, 0 for missing.

    A feature with more ids than the option `most_categories`, those of users and items included, is left out: trees
    sort a feature's ids by their labels to split them, and so memorise many rare ids (`docs/results.md`). What
    such a feature tells is in the averages, if those have it as a key.

    Args:
        layout: what a row has.
        settings: `use_ids`, `averages`, `history`, `domain_feature` (default here: true), option `most_categories`
            (default 100).

    Attributes:
        names: of the columns.
        categorical: which of them hold ids.
        domain_feature: whether the first column is the domain's index.
        kept: the columns of `categorical` that are used.
        numbers: the keys of the row tensors that follow, flattened.
    """

    def __init__(self, layout: FeatureLayout, settings: ModelSettings) -> None:
        self.domain_feature = settings.domain_feature is not False
        dropped = set() if settings.use_ids else set(layout.id_features)
        names: list[str] = []
        kept: list[int] = []
        column = 0
        most = _option(settings, "most_categories")
        for feature in layout.categorical:
            if feature.name not in dropped and feature.size <= most:
                kept += range(column, column + feature.width)
                names += [
                    feature.name if feature.width == 1 else f"{feature.name}[{i}]"
                    for i in range(feature.width)
                ]
            column += feature.width
        self.kept = np.array(kept, int)
        self.numbers = ["numeric"] if layout.numeric else []
        numbers = list(layout.numeric)
        if layout.averages and settings.uses_transform_averages:
            self.numbers.append("averages")
            numbers += layout.averages
        if layout.history and settings.history != "none":
            self.numbers.append("history")
            numbers += [f"{name} in {domain}" for domain in layout.domains for name in layout.history]
        names = [*([DOMAIN] if self.domain_feature else []), *names]
        self.categorical = list(range(len(names)))
        self.names = [*names, *numbers]
        if not self.names:
            raise NoInputError("no input is left: the layout has no feature that the settings let through")

    def __call__(self, rows: Rows, domain: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The matrix `(N, columns)` of rows `(N, ...)` of these domains `(N,)`."""
        count = len(domain)
        parts = [np.asarray(domain, float)[:, None]] if self.domain_feature else []
        if len(self.kept):
            parts.append(np.asarray(rows["categorical"])[:, self.kept].astype(float))
        parts += [np.asarray(rows[key], float).reshape(count, -1) for key in self.numbers]
        return np.concatenate(parts, axis=1)


class GradientBoostedTrees:
    """Trained trees.

    Args:
        booster: LightGBM's.
        layout: what a row has.
        settings: that it was trained with.
        rounds: number of trees.
        validation: `Scores.criterion` of the validation rows with that number of trees, the average AUC where there is
            one; None without such rows.
        validation_average_auc: theirs with that number of trees; None where no domain has one.
    """

    def __init__(
        self,
        booster: Any,
        layout: FeatureLayout,
        settings: ModelSettings,
        rounds: int,
        validation: float | None = None,
        validation_average_auc: float | None = None,
    ) -> None:
        self._booster = booster
        self.layout = layout
        self.settings = settings
        self.rounds = rounds
        self.validation = validation
        self.validation_average_auc = validation_average_auc
        self._matrix = FeatureMatrix(layout, settings)

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix' columns, in order."""
        return list(self._matrix.names)

    def importance(self) -> dict[str, float]:
        """Each column's share of the loss that its splits took away."""
        gain = self._booster.feature_importance("gain")
        return dict(zip(self.feature_names, (gain / max(gain.sum(), 1e-12)).tolist(), strict=True))

    def predict(self, rows: Rows, domain: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Click probabilities `(N,)` of rows `(N, ...)`, row `i` of domain `domain[i]`."""
        if not len(domain):
            return np.zeros(0)
        return np.asarray(self._booster.predict(self._matrix(rows, domain), num_iteration=self.rounds))

    def dump(self) -> dict[str, Any]:
        """The trees as LightGBM describes them, for `models.forest.Forest`."""
        return dict(self._booster.dump_model(num_iteration=self.rounds))

    @property
    def parameters(self) -> int:
        """Numbers that were learned: a threshold or set for each split, a value for each leaf."""
        return sum(2 * tree["num_leaves"] - 1 for tree in self.dump()["tree_info"])

    def save(self, path: Path) -> None:
        """Writes the trees and what is needed to use them into one JSON file."""
        document = {
            "layout": self.layout.to_json(),
            "settings": self.settings.model_dump_json(),
            "rounds": self.rounds,
            "trees": self._booster.model_to_string(),
        }
        path.write_text(json.dumps(document), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> GradientBoostedTrees:
        """Reads what `save` wrote."""
        lightgbm = _library()
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            lightgbm.Booster(model_str=document["trees"]),
            FeatureLayout.from_json(document["layout"]),
            ModelSettings.model_validate_json(document["settings"]),
            document["rounds"],
        )


def fit(
    train_rows: RowSource,
    validation_rows: RowSource | None,
    layout: FeatureLayout,
    settings: ModelSettings,
    training: TrainingSettings,
    *,
    seed: int = 1,
    threads: int = 0,
    grown: Grown | None = None,
) -> GradientBoostedTrees:
    """Trains trees on the log loss; their number is chosen on the validation rows.

    It is chosen by their log loss: the average AUC, which chooses between settings and models, rests on a few
    small domains and is too noisy to say at which of hundreds of trees to stop. With `refit` the chosen number of
    trees is grown once more on training and validation rows together.

    Args:
        train_rows: rows to train on.
        validation_rows: later rows, for the number of trees; None or none to grow all of them.
        layout: what a row has.
        settings: which inputs (`FeatureMatrix`); options `rounds`: most trees, default 500; `patience`: trees
            without gain before it stops, default 50; `tree_learning_rate`: 0.05; `leaves`: 31;
            `min_leaf_rows`: 50; `row_share` and `feature_share`: of each tree, 0.8; `category_smoothing`: 10.
        training: `refit`, `validation_min_rows`.
        seed: of the rows and columns that each tree sees.
        threads: of LightGBM; 0 for all cores.
        grown: hears after each tree how many there are, of how many at most, the validation log loss (None
            without validation rows), and whether they are grown once more on all rows.

    Raises:
        ValueError: if there is no training row, or an option is unknown or has a wrong type.
    """
    lightgbm = _library()
    check_options(settings.options, [TREES])
    if not len(train_rows.label):
        raise ValueError("there is no training row")
    matrix = FeatureMatrix(layout, settings)
    parameters = _parameters(settings, seed, threads)
    most = _option(settings, "rounds")
    train_set = _dataset(matrix, train_rows)
    callbacks = _heard(grown, again=False)
    validation_sets = []
    if validation_rows is not None and not len(validation_rows.label):
        validation_rows = None
    if validation_rows is not None:
        validation_sets.append(_dataset(matrix, validation_rows, reference=train_set))
        callbacks.append(
            lightgbm.early_stopping(_option(settings, "patience"), first_metric_only=True, verbose=False)
        )
    booster = lightgbm.train(
        parameters,
        train_set,
        most,
        valid_sets=validation_sets,
        feval=None if validation_rows is None else _judge(validation_rows, training.validation_min_rows),
        callbacks=callbacks,
    )
    rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    reached = {} if validation_rows is None else booster.best_score["valid_0"]
    if training.refit and validation_rows is not None:
        booster = lightgbm.train(
            parameters,
            _dataset(matrix, JoinedRows(train_rows, validation_rows)),
            rounds,
            callbacks=_heard(grown, again=True),
        )
    return GradientBoostedTrees(
        booster, layout, settings, rounds, reached.get("criterion"), reached.get("average_auc")
    )


def _heard(grown: Grown | None, again: bool) -> list[Callable[..., Any]]:
    """A callback that tells `grown` of each tree."""
    if grown is None:
        return []

    def tell(env: Any) -> None:
        losses = [value for _, name, value, _ in env.evaluation_result_list or [] if name == "log_loss"]
        grown(env.iteration + 1, env.end_iteration, losses[0] if losses else None, again)

    return [tell]


def _option(settings: ModelSettings, name: str) -> Any:
    return OPTIONS[name].read(name, settings.options)


def _parameters(settings: ModelSettings, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "metric": "none",
        "learning_rate": _option(settings, "tree_learning_rate"),
        "num_leaves": _option(settings, "leaves"),
        "min_data_in_leaf": _option(settings, "min_leaf_rows"),
        "bagging_fraction": _option(settings, "row_share"),
        "bagging_freq": 1,
        "feature_fraction": _option(settings, "feature_share"),
        "cat_smooth": _option(settings, "category_smoothing"),
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _library() -> Any:
    """LightGBM, whose threads sleep while they wait for each other.

    They would spin: where other work has the cores, each turn of a thread that waits is lost to the one that is waited
    for. The rule is read when the library is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import lightgbm

    return lightgbm


def _dataset(matrix: FeatureMatrix, rows: RowSource, reference: Any = None) -> Any:
    """LightGBM's binned data set, read in pieces: the matrix of all rows never exists."""
    import lightgbm

    domain = np.asarray(rows.domain)

    class Source(lightgbm.Sequence):
        batch_size = _READ_AT_ONCE

        def __len__(self) -> int:
            return len(domain)

        def __getitem__(self, index: Any) -> npt.NDArray[np.float64]:
            at = np.arange(len(domain))[index]
            return matrix(rows.gather(at), domain[at]) if np.ndim(at) else self[[at]][0]

    return lightgbm.Dataset(
        Source(),
        label=np.asarray(rows.label),
        feature_name=[f"column_{i}" for i in range(len(matrix.names))],
        categorical_feature=matrix.categorical,
        reference=reference,
        params={"verbosity": -1},
    )


_Metric: TypeAlias = "tuple[str, float, bool]"


def _judge(rows: RowSource, min_rows: int) -> Callable[[npt.NDArray[Any], Any], list[_Metric]]:
    """What stops first, then what is only reported: name, value, whether higher is better."""
    domain, label = np.asarray(rows.domain), np.asarray(rows.label)

    def judge(probability: npt.NDArray[Any], _: Any) -> list[_Metric]:
        logit = np.log(np.maximum(probability, 1e-12)) - np.log(np.maximum(1 - probability, 1e-12))
        scores = score(domain, label, logit, min_rows)
        found = [("log_loss", scores.log_loss, False), ("criterion", scores.criterion, True)]
        # Whether there is an average depends on the rows alone: it is there for every tree, or for none.
        return found if scores.average_auc is None else [*found, ("average_auc", scores.average_auc, True)]

    return judge
