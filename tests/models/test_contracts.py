"""What every registered model promises."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf

from models.dispatch import explain_mixed, predict_mixed
from models.options import Option
from models.registry import MODELS, build_model, options_of
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from tests.models.building import batch_of, gradients, moved, small_model
from tests.models.helpers import learnable_rows, random_batch, random_rows, small_layout

NAMES = sorted(MODELS)
every_model = pytest.mark.parametrize("name", NAMES)
OF_ALL_DOMAINS = ["aitm", "hinet", "hmoe", "ple"]


def own(name, **options):
    """Those of the options that the model has."""
    return {option: value for option, value in options.items() if option in options_of(name)}


def test_all_systems_of_the_comparison_are_registered():
    assert {"dfei", "mlp", "mmoe", "ple", "aitm", "hmoe", "star", "pepnet", "hinet"} <= set(NAMES)


@every_model
def test_options_are_those_that_it_names_and_any_other_is_refused(name, monkeypatch):
    asked, read = set(), Option.read
    monkeypatch.setattr(Option, "read", lambda o, name, options: asked.add(name) or read(o, name, options))
    build_model(small_layout(), ModelSettings(name=name, layers=[4, 3]))
    assert asked == set(options_of(name))
    with pytest.raises(ValueError, match=rf"model\.options\.surprise: {name} has no such option"):
        build_model(small_layout(), ModelSettings(name=name, options={"surprise": 3}))


@every_model
def test_every_variable_has_exactly_one_learning_rate_and_stacks_are_specific(name):
    model = small_model(name, domains=9, scatter=False)
    roles = model.learning_rate_roles()
    for variable in model.trainable_variables:
        found = [role for pattern, role in roles if re.search(pattern, variable.name)]
        assert len(found) == 1, (variable.name, found)
        if name != "dfei" or "trained_domain_features" not in variable.name:
            assert (found[0] == "specific") == (variable.shape[0] == 9 and variable.shape.rank > 1)


@every_model
@pytest.mark.parametrize("domains", [1, 2, 1000])
def test_any_number_of_domains(name, domains):
    model = small_model(name, domains, scatter=False, layers=[4, 3])
    batch = batch_of(model, [0, domains - 1, domains // 2, 0])
    logits = model(batch, training=True)
    assert logits.shape == (4, 5)
    assert np.isfinite(logits).all()
    assert np.isfinite(model(batch)).all()


@every_model
def test_every_variable_learns(name):
    model = small_model(name)
    batch = batch_of(model, [0, 1, 2, 3], size=20)
    found = gradients(model, batch)
    assert len(found) == len(model.trainable_variables)
    for variable, gradient in found.items():
        assert np.abs(gradient).sum() > 0, variable


@every_model
def test_a_large_stack_has_a_sparse_gradient(name):
    model = small_model(name, domains=50, options=own(name, peers=3, chain=3))
    batch = batch_of(model, [0, 44, 7])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(batch, training=True))
    stacks = [v for v in model.trainable_variables if v.shape[0] == 50]
    for variable, gradient in zip(stacks, tape.gradient(loss, stacks), strict=True):
        assert isinstance(gradient, tf.IndexedSlices), variable.name
        assert set(gradient.indices.numpy()) <= {0, 1, 2, 7, 44}, variable.name


@every_model
def test_padding_changes_nothing(name):
    outcomes = []
    for content in (0, 1):
        model = small_model(name)
        rows, domains, weights = batch_of(model, [2, 0, 2], seed=3)
        weights = tf.constant([[1.0] * 5, [1, 1, 1, 0, 0], [0.0] * 5])
        other = random_rows(model.layout, (3, 5), seed=10 + content)
        mask = weights.numpy() > 0
        rows = {
            key: tf.constant(np.where(mask.reshape(3, 5, *[1] * (value.ndim - 2)), rows[key], value))
            for key, value in other.items()
        }
        batch = (rows, domains, weights)
        trained = model(batch, training=True)[mask]
        results = {"trained": trained.numpy(), "scores": model(batch)[mask].numpy()}
        state = {v.name: v.numpy() for v in model.non_trainable_variables}
        outcomes.append({**results, **state, **gradients(model, batch)})
    for key, value in outcomes[0].items():
        np.testing.assert_allclose(value, outcomes[1][key], rtol=1e-4, atol=1e-5, err_msg=key)


@every_model
def test_groups_of_one_domain_count_as_one_group(name):
    model = small_model(name)
    rows, _, _ = batch_of(model, [1, 1])
    split = (rows, tf.constant([1, 1]), tf.ones([2, 5]))
    whole = {key: tf.reshape(value, [1, 10, *value.shape[2:]]) for key, value in rows.items()}
    joined = (whole, tf.constant([1]), tf.ones([1, 10]))
    in_two = tf.reshape(model(split, training=True), [1, 10])
    after_two = model(joined)
    model = small_model(name)
    np.testing.assert_allclose(in_two, model(joined, training=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after_two, model(joined), rtol=1e-4, atol=1e-5)


@every_model
def test_a_score_depends_on_no_other_row_at_inference(name):
    model = small_model(name)
    rows, domains, weights = batch_of(model, [3, 1, 0, 1])
    weights = tf.ones_like(weights)
    model((rows, domains, weights), training=True)
    scores = model((rows, domains, weights)).numpy()
    order = [2, 0, 3, 1]
    shuffled = ({key: tf.gather(value, order) for key, value in rows.items()}, tf.gather(domains, order))
    np.testing.assert_allclose(model((*shuffled, weights)), scores[order], rtol=1e-5, atol=1e-6)
    for g in range(4):
        alone = {key: value[g : g + 1, 2:3] for key, value in rows.items()}
        score = model((alone, domains[g : g + 1], tf.ones([1, 1])))
        np.testing.assert_allclose(score[0, 0], scores[g, 2], rtol=1e-5, atol=1e-6)
    flat = {key: tf.reshape(value, [20, *value.shape[2:]]) for key, value in rows.items()}
    mixed = predict_mixed(model, flat, tf.repeat(domains, 5))
    np.testing.assert_allclose(mixed, scores.ravel(), rtol=1e-5, atol=1e-6)


@every_model
def test_the_domain_matters_unless_it_is_the_blind_tower(name):
    options = {"domain_feature": False} if name == "mlp" else {}
    model = small_model(name, **options)
    rows, _, weights = batch_of(model, [0])
    scores = [model((rows, tf.constant([d]), weights)).numpy() for d in range(4)]
    blind = np.allclose(scores[0], scores[3])
    assert blind == (name == "mlp"), (
        f"{name}: scores {'do not depend' if blind else 'depend'} on the domain. The domain is not in x: embed it "
        "(FeatureEmbedding(..., domain_feature=True)), or give it layers of its own (named specific_...)"
    )


@every_model
def test_the_same_seed_gives_the_same_model(name):
    layout, settings = small_layout(), ModelSettings(name=name, layers=[4], options=own(name, levels=1))
    first, again, other = (build_model(layout, settings, seed) for seed in (5, 5, 6))
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


@every_model
def test_a_checkpoint_restores_scores_and_state(name, tmp_path):
    model, restored = small_model(name), small_model(name, scatter=False)
    batch = batch_of(model, [0, 2, 3])
    model(batch, training=True)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=restored).read(path).assert_consumed()
    np.testing.assert_array_equal(restored(batch), model(batch))
    model.save_weights(tmp_path / "model.weights.h5")
    restored = small_model(name, scatter=False)
    assert (restored(batch).numpy() != model(batch).numpy()).any()
    restored.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(restored(batch), model(batch))


@every_model
@pytest.mark.parametrize("domains", [2, 5, pytest.param(1000, marks=pytest.mark.slow)])
def test_an_exported_model_scores_mixed_rows_alike(name, domains, tmp_path):
    model = small_model(name, domains)
    model(batch_of(model, [0, 1 % domains, 2 % domains, domains - 1]), training=True)
    layout = model.layout
    rows = random_rows(layout, (11,), seed=4)
    domain = np.array([domains - 1, 0, 0, 2, 1, 0, 3, 3, 0, 2, 0], np.int32) % domains
    signature = {
        key: tf.TensorSpec([None, *shape], tf.int64 if key == "categorical" else tf.float32, name=key)
        for key, shape in layout.row_shapes().items()
    }
    exported = tf.Module()
    exported.state = model.variables
    exported.score = tf.function(
        lambda rows, domain: predict_mixed(model, rows, domain),
        input_signature=[signature, tf.TensorSpec([None], tf.int32)],
    )
    tf.saved_model.save(exported, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    expected = predict_mixed(model, {key: tf.constant(value) for key, value in rows.items()}, domain)
    np.testing.assert_allclose(
        loaded.score({key: tf.constant(value) for key, value in rows.items()}, tf.constant(domain)),
        expected,
        rtol=1e-5,
        atol=1e-6,
    )
    none = {key: tf.constant(value[:0]) for key, value in rows.items()}
    assert loaded.score(none, tf.zeros([0], tf.int32)).shape == (0,)


@every_model
def test_explanations_are_shares_of_domains(name):
    for domains, options in ((4, {}), (6, {"peers": 2})):
        model = small_model(name, domains, options=own(name, **options))
        if not model.explains:
            with pytest.raises(NotImplementedError, match="no weights over domains"):
                model.explain(batch_of(model, [0]))
            return
        model(batch_of(model, list(range(domains))), training=True)
        rows = random_rows(model.layout, (7,))
        domain = tf.constant([3, 1, 0, 2, 3, 1, domains - 1])
        weights = explain_mixed(model, {key: tf.constant(value) for key, value in rows.items()}, domain)
        assert weights.shape == (7, domains)
        np.testing.assert_allclose(tf.reduce_sum(weights, 1), np.ones(7), rtol=1e-5)
        assert (weights.numpy() >= 0).all()


@every_model
@pytest.mark.parametrize(
    "settings",
    [
        {"use_ids": False, "averages": "none"},
        {"domain_feature": True, "head_hidden": 0},
        {"dropout": 0.3, "embedding_dropout": 0.2, "id_dropout": 0.2, "embedding_l2": 0.1},
    ],
    ids=["few inputs", "domain as a feature", "regularised"],
)
def test_settings_that_all_models_share(name, settings):
    model = small_model(name, **settings)
    batch = random_batch(model.layout, 3, 6)
    scores = model(batch)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(model(batch), scores)
    if settings.get("dropout"):
        assert (model(batch, training=True).numpy() != model(batch, training=True).numpy()).any()
        assert len(model.losses) == 1


@every_model
def test_it_learns_in_the_training_loop_from_mixed_batches(name):
    layout = small_layout(domains=4)
    # Tiles of a few rows, padded, the same domain in several: the hardest batches there are.
    settings = TrainingSettings(
        schedule="mixed",
        batch_size=16,
        domains_per_step=4,
        learning_rate=0.01,
        epochs=2,
        patience=2,
        validation_min_rows=20,
    )
    model = build_model(layout, ModelSettings(name=name, layers=[8, 4], embedding_size=3, head_hidden=4))
    result = train(model, learnable_rows(layout, 1500, seed=1), learnable_rows(layout, 600, seed=2), settings)
    assert result.best.average_auc > 0.65


@pytest.mark.parametrize("name", OF_ALL_DOMAINS)
def test_a_limit_on_the_sum_over_domains_changes_nothing_up_to_that_many(name):
    model, limited = small_model(name), small_model(name, options=own(name, peers=4, chain=4))
    limited.set_weights(model.get_weights())
    batch = batch_of(model, [0, 1, 2, 3])
    np.testing.assert_array_equal(limited(batch), model(batch))


@pytest.mark.parametrize("name", ["dfei", "mmoe", "star", "pepnet"])
def test_a_loss_moves_no_other_domains_parameters(name):
    model = small_model(name, averages="transform") if name == "dfei" else small_model(name)
    found = gradients(model, batch_of(model, [2, 2]))
    specific = {n: g for n, g in found.items() if re.search(r"(^|/)specific_", n)}
    assert specific
    for variable, gradient in specific.items():
        assert moved(gradient) == [2], variable
