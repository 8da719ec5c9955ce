"""The three experiments with which a reader of the paper begins, on the learned side of the product.

1. The moving averages on synthetic behaviour (of features, in time: tests/components/transform).
2. The integration's weights on known domain features.
3. The joint optimisation with two rates on a part of KuaiRand, and its convergence.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers import DomainFeatureExtraction, DomainFeatureIntegration
from models.registry import build_model
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from tests.models.helpers import off_zero
from tests.models.kuairand import impressions

RATE = 3e-3


def test_moving_averages_follow_each_domains_behaviour():
    """Three domains: one steady, one that jumps, one that appears late. Closed form of v after n batches:

    a^(n-1) x_1 + (1 - a) sum_i a^(n-i) x_i.
    """
    a, steps = 0.9, 60
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(steps, 3, 64, 1)).astype(np.float32)
    behaviour = np.zeros((steps, 3, 1, 1), np.float32)
    behaviour[:, 0] = 5.0
    behaviour[30:, 1] = 10.0
    behaviour[:, 2] = -3.0
    u = behaviour + noise
    layer = DomainFeatureExtraction(3, decay=a)
    for step in range(steps):
        active = [0, 1, 2] if step >= 50 else [0, 1]
        layer(tf.constant(u[step, active]), tf.constant(active), tf.ones([len(active), 64]), training=True)
        if step == 30:
            assert 0.5 < layer.state[1, 0] < 1.5, "one batch after the jump, a tenth of the way"
    means = u.mean(axis=(2, 3))
    for d, first in ((0, 0), (1, 0), (2, 50)):
        x = means[first:, d]
        powers = a ** np.arange(len(x) - 1, -1, -1)
        closed_form = powers[0] * x[0] + (1 - a) * (powers[1:] * x[1:]).sum()
        assert layer.state.numpy()[d, 0] == pytest.approx(closed_form, abs=1e-4)
    np.testing.assert_allclose(layer.state[:, 0], [5.0, 10.0 * (1 - a**30), -3.0], atol=0.2)


def test_integration_weighs_the_domains_that_a_row_resembles():
    """Domain features are orthogonal and the maps are identities, so weights have a closed form."""
    layer = DomainFeatureIntegration(4, 4)
    table, seen = 6.0 * tf.eye(4), tf.ones([4])
    rows = tf.constant([[[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]])
    layer(rows, table, seen)
    for kernel in (layer.query, layer.key, layer.value):
        kernel.assign(tf.eye(4))
    e = np.exp(6.0 / 2.0)
    expected = np.array(
        [
            [e, 1, 1, 1] / (e + 3),
            [1, 1, e, 1] / (e + 3),
            [1, e, e, 1] / (2 * e + 2),
            [1 / 4] * 4,
        ]
    )
    np.testing.assert_allclose(layer.weights_over_domains(rows, table, seen)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(layer(rows, table, seen)[0], 6 * expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "shared_lr_scale", "loss_weighting"), [("cyclic", "1/D", "batch"), ("fused", 1.0, "row")]
)
def test_joint_optimisation_converges_on_kuairand(schedule, shared_lr_scale, loss_weighting):
    """Three days of real impressions from five tabs, the fourth day to validate.

    The loss falls in every epoch, later days are ranked better than by chance, and the two parts move at their
    own rates: Adam's first step is as long as the rate, for every parameter with a gradient.
    """
    layout, before, after = impressions(0, 3)
    model = build_model(layout, ModelSettings(layers=[32, 16], embedding_size=8))
    off_zero(model)
    start = {v.name: v.numpy() for v in model.trainable_variables}
    settings = TrainingSettings(
        schedule=schedule,
        shared_lr_scale=shared_lr_scale,
        loss_weighting=loss_weighting,
        epochs=3,
        patience=0,
        batch_size=128,
        learning_rate=RATE,
        domains_per_step=4,
        steps_per_call=1,
    )

    class FirstStepError(Exception):
        pass

    class StopAfterOne:
        def on_step(self, rows_done, rows_total, loss):
            raise FirstStepError

        def on_epoch(self, record):
            raise AssertionError("an epoch of one step")

    with pytest.raises(FirstStepError):
        train(model, before, after, settings, progress=StopAfterOne())
    rate = {"specific": RATE, "shared": RATE / 5 if shared_lr_scale == "1/D" else RATE}
    for variable in model.trainable_variables:
        longest = np.abs(variable.numpy() - start[variable.name]).max()
        role = "specific" if "/specific_" in variable.name else "shared"
        assert longest <= 1.05 * rate[role], variable.name
        if "/domain_integration" not in variable.name:  # with one domain seen there is nothing to weigh yet
            assert longest >= 0.95 * rate[role], variable.name

    result = train(build_model(layout, model.settings), before, after, settings)
    losses = [record.loss for record in result.history]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.97 * losses[0]
    assert result.best.overall_auc > 0.66
    assert result.best.average_auc > 0.55
