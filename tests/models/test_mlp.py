from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.models.building import assert_rows, batch_of, small_model, tower, weights_of


def test_against_numpy():
    model = small_model("mlp")
    batch = batch_of(model, [2, 0])
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    hidden = tower(w, "head_hidden", tower(w, "tower", x))
    expected = (hidden @ w["head/kernel"] + w["head/bias"])[..., 0]
    assert_rows(batch[2], model(batch), expected, rtol=1e-4, atol=1e-5)


def test_the_domains_id_is_a_feature_unless_switched_off():
    assert small_model("mlp").embedding.domain_feature
    blind = small_model("mlp", domain_feature=False)
    rows, domains, weights = batch_of(blind, [2, 0])
    other = (rows, tf.constant([1, 3]), weights)
    np.testing.assert_array_equal(blind((rows, domains, weights)), blind(other))


def test_all_parameters_are_shared():
    model = small_model("mlp")
    assert not [v.name for v in model.trainable_variables if "specific_" in v.name]
    # One row of the embedding table, and the click rate that predictions start at.
    assert small_model("mlp", domains=1000).count_params() - model.count_params() == 996 * (3 + 1)
