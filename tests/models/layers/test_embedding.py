from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.features import FeatureLayout
from models.layers import DOMAIN, FeatureEmbedding
from models.settings import ModelSettings
from tests.models.helpers import random_batch, small_layout


def expected(layer: FeatureEmbedding, layout: FeatureLayout, rows: dict[str, np.ndarray]) -> np.ndarray:
    """The layer's definition, one row and one feature at a time."""
    table = layer.table.numpy()
    groups, size, _ = rows["categorical"].shape
    out = []
    for g in range(groups):
        for b in range(size):
            parts = []
            column = offset = 0
            for feature in layout.categorical:
                ids = rows["categorical"][g, b, column : column + feature.width]
                if feature.width > 1:
                    ids = ids[ids > 0]
                vectors = table[offset + ids]
                parts.append(vectors.mean(0) if len(ids) else np.zeros(layer.k, np.float32))
                column += feature.width
                offset += feature.size
            parts += [rows["numeric"][g, b], rows["averages"][g, b]]
            out.append(np.concatenate(parts))
    return np.array(out).reshape(groups, size, -1)


def test_against_one_feature_at_a_time():
    layout = small_layout()
    layer = FeatureEmbedding(layout, ModelSettings(embedding_size=3))
    rows, domains, _ = random_batch(layout, 4, 6)
    result = layer(rows, domains)
    plain = {key: value.numpy() for key, value in rows.items()}
    np.testing.assert_allclose(result, expected(layer, layout, plain), rtol=1e-6)
    assert layer.output_size == result.shape[-1] == 5 * 3 + 2 + 2
    assert layer.table.shape == (11 + 5 + 13 + 4 + 7, 3)


def test_ids_and_averages_can_be_left_out():
    layout = small_layout()
    settings = ModelSettings(embedding_size=3, use_ids=False, averages="learned")
    layer = FeatureEmbedding(layout, settings)
    rows, domains, _ = random_batch(layout, 2, 5)
    assert layer(rows, domains).shape == (2, 5, 2 * 3 + 2)
    changed = rows["categorical"].numpy().copy()
    changed[..., [0, 3, 5]] = 1
    np.testing.assert_array_equal(
        layer(rows, domains), layer({**rows, "categorical": tf.constant(changed)}, domains)
    )
    with pytest.raises(ValueError, match="'user_id' is not embedded"):
        layer.slice_of("user_id")


def test_the_domain_can_be_a_feature():
    layout = small_layout()
    layer = FeatureEmbedding(layout, ModelSettings(embedding_size=3), domain_feature=True)
    rows, _, _ = random_batch(layout, 2, 5)
    x = layer(rows, tf.constant([2, 0])).numpy()
    rows_of_domains = layer.table.numpy()[-layout.domain_count :]
    np.testing.assert_array_equal(x[0, :, layer.slice_of(DOMAIN)], np.tile(rows_of_domains[2], (5, 1)))
    np.testing.assert_array_equal(x[1, :, layer.slice_of(DOMAIN)], np.tile(rows_of_domains[0], (5, 1)))
    without = FeatureEmbedding(layout, ModelSettings(domain_feature=False), domain_feature=True)
    assert not without.domain_feature


def test_history_is_appended_flat():
    layout = small_layout(history=2)
    rows, domains, _ = random_batch(layout, 2, 3)
    x = FeatureEmbedding(layout, ModelSettings())(rows, domains).numpy()
    np.testing.assert_array_equal(x[..., -6:], rows["history"].numpy().reshape(2, 3, 6))
    assert FeatureEmbedding(layout, ModelSettings(history="none"))(rows, domains).shape[-1] == x.shape[-1] - 6


def test_the_gradient_is_sparse_over_one_table():
    layout = small_layout()
    layer = FeatureEmbedding(layout, ModelSettings(embedding_size=3))
    rows, domains, _ = random_batch(layout, 2, 5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(rows, domains))
    gradient = tape.gradient(total, layer.table)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.values.shape[0] == 2 * 5 * layout.categorical_columns


def test_the_penalty_is_a_mean_over_rows_without_padding_and_only_in_training():
    layout = small_layout()
    layer = FeatureEmbedding(layout, ModelSettings(embedding_size=3, embedding_l2=0.5))
    rows, domains, weights = random_batch(layout, 2, 4)
    layer(rows, domains, weights)
    assert layer.losses == []
    embedded = layer(rows, domains, weights, training=True).numpy()[..., : layer.embedded_size]
    kept = weights.numpy() > 0
    assert layer.losses[0].numpy() == pytest.approx(
        0.5 * np.square(embedded[kept]).sum() / kept.sum(), rel=1e-5
    )


def test_id_dropout_replaces_ids_by_missing_and_nothing_else():
    layout = small_layout(averages=0)
    layer = FeatureEmbedding(layout, ModelSettings(embedding_size=3, id_dropout=0.5))
    rows, domains, weights = random_batch(layout, 4, 50)
    plain = layer(rows, domains).numpy()
    dropped = layer(rows, domains, weights, training=True).numpy()
    user, device = layer.slice_of("user_id"), layer.slice_of("device")
    np.testing.assert_array_equal(plain[..., device], dropped[..., device])
    missing = layer.table.numpy()[0]
    changed = (plain[..., user] != dropped[..., user]).any(-1)
    assert 0.25 < changed.mean() < 0.6
    np.testing.assert_array_equal(dropped[..., user][changed], np.tile(missing, (changed.sum(), 1)))


def test_no_input_at_all_is_refused():
    layout = FeatureLayout(categorical=(), averages=("a",), domains=("x",))
    with pytest.raises(ValueError, match="no input is left"):
        FeatureEmbedding(layout, ModelSettings(averages="none"))
