"""What TFMA is to measure, and what a model must reach to be blessed."""

from __future__ import annotations

import json
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from components.dataset.declaration import Declaration
from components.dataset.sections import Threshold
from components.errors import InputError
from components.evaluator import average_auc, beyond_chance, gauc, slice_metrics
from components.evaluator.scoring import SIGNATURE

# What the declaration calls a metric, and TFMA's name of it on the overall slice.
METRICS = {
    "average_auc": average_auc.NAME,
    "overall_auc": "auc",
    "gauc": gauc.NAME,
    "log_loss": "log_loss",
    "normalized_entropy": "normalized_entropy",
    "calibration": "calibration",
}
_INVALID = "invalid_predictions"
RARER = "rarer_rows"
_LOSSES = ("log_loss", "normalized_entropy")
CHANGE = "average_auc_change"
MARGIN_PREFIX = "auc_margin_of_domain_"


def eval_config(
    declaration: Declaration,
    code: str = "",
    deviations: float = 0.0,
    drop_deviations: float | None = None,
) -> tfma.EvalConfig:
    """The evaluation of a declared data set: metrics overall and by domain, thresholds on the overall slice.

    Bounds hold from the first run on; `max_drop` compares with the last blessed model, once there is one. With bounds
    goes one on the rows of the rarer class (`min_rarer`): of too few the others tell nothing. There is always a
    threshold, that no prediction is invalid: without any, TFX blesses nothing.

    Args:
      declaration: names the columns and holds the thresholds.
      code: a hash of this package, so that a cache sees an edit; without effect on the result.
      deviations: above 0, a bound counts as missed only beyond so many standard errors (`BeyondChance`).
      drop_deviations: those that a drop may be worse by; None: as many.

    Raises:
      InputError: a threshold on GAUC without the role `user`.
    """
    evaluation = declaration.evaluation
    if declaration.user is None and "gauc" in evaluation.thresholds:
        raise InputError(
            f"{declaration.source or declaration.name}: evaluation.thresholds.gauc needs the role `user`; "
            "declare `user: COLUMN` or remove the threshold"
        )
    thresholds = _thresholds(declaration) if deviations <= 0 else {_INVALID: _threshold(Threshold(max=0))}
    metrics = [
        _metric(slice_metrics.SliceMetric, thresholds.get(name), name=name, statistic=name)
        for name in slice_metrics.STATISTICS
    ]
    metrics.append(
        _metric(
            average_auc.AverageAUC,
            thresholds.get(average_auc.NAME),
            name=average_auc.NAME,
            domain=declaration.domain,
            min_rows=evaluation.min_rows,
            code=code,
        )
    )
    if declaration.user is not None:
        metrics.append(_metric(gauc.GAUC, thresholds.get(gauc.NAME), name=gauc.NAME, user=declaration.user))
    of_a_drop = deviations if drop_deviations is None else drop_deviations
    if deviations > 0:
        metrics += _beyond_chance(declaration, deviations, of_a_drop)
    # Not a gate: how the change against the last blessed model is said, with its interval.
    metrics.append(
        _metric(
            beyond_chance.BeyondChance,
            None,
            name=CHANGE,
            of="average_auc",
            value="",
            domain=declaration.domain,
            user=declaration.user or "",
            min_rows=evaluation.min_rows,
            deviations=deviations,
            drop_deviations=of_a_drop,
            **dict.fromkeys(Threshold.model_fields),
        )
    )
    for value, threshold in evaluation.domains.items() if deviations <= 0 else ():
        reference = threshold.min or 0.0
        metrics.append(
            _metric(
                average_auc.DomainMargin,
                _threshold(threshold, reference),
                name=MARGIN_PREFIX + value,
                domain=declaration.domain,
                value=value,
                reference=reference,
                min_rows=evaluation.min_rows,
            )
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(model_type="tf_generic", signature_name=SIGNATURE, label_key=declaration.label)
        ],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[declaration.domain])],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
        options=tfma.Options(
            include_default_metrics=wrappers_pb2.BoolValue(value=False),
            compute_confidence_intervals=wrappers_pb2.BoolValue(value=False),
        ),
    )


def _beyond_chance(
    declaration: Declaration, deviations: float, drop_deviations: float
) -> list[tfma.MetricConfig]:
    """The gates of few rows, one for each declared threshold."""
    evaluation = declaration.evaluation
    declared: list[tuple[str, str, Threshold]] = [
        (name, "", threshold) for name, threshold in evaluation.thresholds.items()
    ]
    declared += [("domain_auc", value, threshold) for value, threshold in evaluation.domains.items()]
    return [
        _metric(
            beyond_chance.BeyondChance,
            _threshold(Threshold(max=0)),
            name=f"{of}{f'_{value}' if value else ''}_{beyond_chance.NAME}",
            of=of,
            value=value,
            domain=declaration.domain,
            user=declaration.user or "",
            min_rows=evaluation.min_rows,
            deviations=deviations,
            drop_deviations=drop_deviations,
            **threshold.model_dump(),
        )
        for of, value, threshold in declared
    ]


def _thresholds(declaration: Declaration) -> dict[str, tfma.MetricThreshold]:
    """By TFMA's name of the metric."""
    found = {_INVALID: _threshold(Threshold(max=0))}
    evaluation = declaration.evaluation
    if evaluation.min_rarer and (evaluation.thresholds or evaluation.domains):
        found[RARER] = _threshold(Threshold(min=evaluation.min_rarer))
    for name, threshold in evaluation.thresholds.items():
        if name == "calibration":
            # Worse is farther from 1, on either side: the drop is evaluated on the distance.
            if threshold.max_drop is not None:
                drop = Threshold(max_drop=threshold.max_drop)
                found["calibration_error"] = _threshold(drop, lower_is_better=True)
            if threshold.min is None and threshold.max is None:
                continue
            threshold = threshold.model_copy(update={"max_drop": None})
        found[METRICS[name]] = _threshold(threshold, lower_is_better=name in _LOSSES)
    return found


def _threshold(
    threshold: Threshold, reference: float = 0.0, lower_is_better: bool = False
) -> tfma.MetricThreshold:
    """A declared threshold as TFMA's, its bounds counted from `reference`."""
    bounds = {
        side: wrappers_pb2.DoubleValue(value=bound - reference)
        for side, bound in (("lower_bound", threshold.min), ("upper_bound", threshold.max))
        if bound is not None
    }
    result = tfma.MetricThreshold()
    if bounds:
        result.value_threshold.CopyFrom(tfma.GenericValueThreshold(**bounds))
    if threshold.max_drop is not None:
        direction = (
            tfma.MetricDirection.LOWER_IS_BETTER
            if lower_is_better
            else (tfma.MetricDirection.HIGHER_IS_BETTER)
        )
        allowed = threshold.max_drop if lower_is_better else -threshold.max_drop
        result.change_threshold.CopyFrom(
            tfma.GenericChangeThreshold(direction=direction, absolute=wrappers_pb2.DoubleValue(value=allowed))
        )
    return result


def _metric(
    kind: type[tfma.metrics.Metric], threshold: tfma.MetricThreshold | None, **config: Any
) -> tfma.MetricConfig:
    metric = tfma.MetricConfig(
        class_name=kind.__name__, module=kind.__module__, config=json.dumps(config, sort_keys=True)
    )
    if threshold is not None:
        # On the overall slice: a plain threshold would be checked in every domain.
        metric.per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
    return metric
