"""From a declaration's evaluation section to TFMA's configuration."""

from __future__ import annotations

import pytest
import tensorflow_model_analysis as tfma

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.evaluator.config import eval_config
from components.evaluator.extractors import kept_columns, slicing
from tests.components.evaluator.conftest import declare


def _by_name(config: tfma.EvalConfig) -> dict[str, tfma.MetricConfig]:
    return {
        metric.config.split('"name": "')[1].split('"')[0]: metric
        for spec in config.metrics_specs
        for metric in spec.metrics
    }


def test_the_model_is_asked_through_its_examples_signature():
    config = eval_config(declare())
    [model] = config.model_specs
    assert (model.model_type, model.signature_name, model.label_key) == ("tf_generic", "examples", "click")
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[], ["place"]]
    assert not config.options.compute_confidence_intervals.value
    assert kept_columns(config) == {"user", "place"}


def test_thresholds_hold_on_the_overall_slice_only():
    config = eval_config(declare(thresholds={"overall_auc": {"min": 0.6, "max": 0.99, "max_drop": 0.02}}))
    metric = _by_name(config)["auc"]
    assert not metric.HasField("threshold")
    [gated] = metric.per_slice_thresholds
    assert list(gated.slicing_specs) == [tfma.SlicingSpec()]
    assert gated.threshold.value_threshold.lower_bound.value == 0.6
    assert gated.threshold.value_threshold.upper_bound.value == 0.99
    assert gated.threshold.change_threshold.absolute.value == -0.02
    assert gated.threshold.change_threshold.direction == tfma.MetricDirection.HIGHER_IS_BETTER


def test_a_drop_of_log_loss_and_of_calibration_is_a_rise():
    config = eval_config(
        declare(thresholds={"log_loss": {"max_drop": 0.1}, "calibration": {"max_drop": 0.2}})
    )
    metrics = _by_name(config)
    for name, allowed in (("log_loss", 0.1), ("calibration_error", 0.2)):
        [gated] = metrics[name].per_slice_thresholds
        assert gated.threshold.change_threshold.absolute.value == allowed
        assert gated.threshold.change_threshold.direction == tfma.MetricDirection.LOWER_IS_BETTER
    assert not metrics["calibration"].per_slice_thresholds


def test_without_any_threshold_invalid_predictions_are_still_refused():
    metrics = _by_name(eval_config(declare(thresholds={})))
    gated = {name for name, metric in metrics.items() if metric.per_slice_thresholds}
    assert gated == {"invalid_predictions"}


def test_enough_of_each_class_is_asked_for_wherever_there_is_a_bound():
    def bound(**evaluation):
        metric = _by_name(eval_config(declare(**evaluation)))["rarer_rows"]
        return [gated.threshold.value_threshold.lower_bound.value for gated in metric.per_slice_thresholds]

    assert bound() == [10]
    assert bound(thresholds={}) == []
    assert bound(thresholds={}, domains={"home": {"min": 0.6}}, min_rarer=3) == [3]
    assert bound(min_rarer=0) == []


def test_a_declaration_without_gates_still_wants_better_than_chance():
    metrics = _by_name(eval_config(declare()))
    [gated] = metrics["average_auc"].per_slice_thresholds
    assert gated.threshold.value_threshold.lower_bound.value == 0.5
    assert gated.threshold.change_threshold.absolute.value == -0.01


def test_without_a_user_there_is_no_gauc_and_no_threshold_on_it():
    document = declare().model_dump()
    assert "gauc" not in _by_name(eval_config(Declaration.model_validate({**document, "user": None})))
    document["user"] = None
    document["evaluation"]["thresholds"] = {"gauc": {"min": 0.6}}
    with pytest.raises(InputError, match="needs the role `user`"):
        eval_config(Declaration.model_validate(document))


def test_a_slice_of_two_columns_is_refused():
    config = eval_config(declare())
    config.slicing_specs.append(tfma.SlicingSpec(feature_keys=["place", "user"]))
    with pytest.raises(ValueError, match="expected the overall slice"):
        slicing(config)


def test_a_hash_of_the_code_changes_the_configuration():
    assert eval_config(declare(), code="a") != eval_config(declare(), code="b")
    assert eval_config(declare(), code="a") == eval_config(declare(), code="a")
