"""Weights go by meaning: a model whose domains and values were reshuffled answers as the one it started from."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from models.dispatch import predict_mixed
from models.features import CategoricalFeature, FeatureLayout
from models.optimizer import TwoRateOptimizer, variable_name
from models.registry import MODELS, build_model
from models.settings import ModelSettings, TrainingSettings
from models.training_step import TrainingStep
from models.warm_start import (
    cannot_follow,
    read_snapshot,
    take_snapshot,
    warm_start,
    write_snapshot,
)
from tests.models.helpers import random_rows

every_model = pytest.mark.parametrize("name", sorted(set(MODELS)))
# AITM's chain goes along the domains' order: another order is another model, whatever its weights.
ORDER_IS_MEANING = ["aitm"]
DOMAINS = ("a", "b", "c", "d", "e")
VALUES = {"user": ["u1", "u2", "u3", "u4"], "tags": ["t1", "t2", "t3"]}


def layout(domains=DOMAINS, values=VALUES, numeric=("age", "hour")) -> FeatureLayout:
    return FeatureLayout(
        categorical=(
            CategoricalFeature("user", 1 + len(values["user"]) + 2),
            CategoricalFeature("tags", 1 + len(values["tags"]) + 1, width=2),
            CategoricalFeature("price", 4),
        ),
        numeric=numeric,
        averages=("domain.click", "user.click"),
        history=("user.click", "user.count"),
        domains=tuple(domains),
        user="user",
    )


def settings(name: str, **others) -> ModelSettings:
    return ModelSettings(name=name, layers=[5, 4], embedding_size=3, head_hidden=3, **others)


@functools.cache
def initial(name: str, of: FeatureLayout, seed: int, **others):
    model = build_model(of, settings(name, **others), seed=seed)
    return model, model.get_weights()


def built(name: str, of: FeatureLayout, seed: int = 1, scatter: bool = True, **others):
    model, weights = initial(name, of, seed, **others)
    model.set_weights(weights)
    optimizer = TrainingStep(model, TrainingSettings()).optimizer
    rng = np.random.default_rng(seed)
    if scatter:
        for variable in model.variables:
            noise = rng.normal(0, 0.3, variable.shape).astype(np.float32)
            variable.assign(variable + noise if variable.trainable else np.ones_like(noise) + np.abs(noise))
    return model, optimizer


def order_of(new, old):
    return [list(old).index(value) for value in new]


def answers(model, rows, domain):
    rows = {key: tf.constant(value) for key, value in rows.items()}
    return predict_mixed(model, rows, tf.constant(domain, tf.int32)).numpy()


def reshuffled(rows, domain, domains, values):
    """The same rows as a layout with these domains and values, in another order, has them."""
    moved = dict(rows)
    ids = rows["categorical"].copy()
    for feature, columns, unknown in (("user", [0], 2), ("tags", [1, 2], 1)):
        known = VALUES[feature]
        table = [0, *(1 + values[feature].index(value) for value in known)]
        table += [1 + len(values[feature]) + n for n in range(unknown)]
        ids[:, columns] = np.array(table)[rows["categorical"][:, columns]]
    moved["categorical"] = ids
    history = np.zeros((len(domain), len(domains), rows["history"].shape[2]), np.float32)
    history[:, [domains.index(name) for name in DOMAINS]] = rows["history"]
    moved["history"] = history
    return moved, np.array([domains.index(DOMAINS[d]) for d in domain], np.int32)


def some_rows(n=12):
    return random_rows(layout(), (n,), seed=3), np.arange(n, dtype=np.int32) % len(DOMAINS)


@every_model
def test_reshuffled_domains_and_values_change_no_answer(name, tmp_path):
    domains = tuple("dbeca")
    values = {"user": ["u3", "u1", "u4", "u2"], "tags": ["t2", "t3", "t1"]}
    model, optimizer = built(name, layout())
    write_snapshot(take_snapshot(model, optimizer, VALUES), tmp_path)
    next_model, next_optimizer = built(name, layout(domains, values), seed=9)
    warm_start(next_model, next_optimizer, values, read_snapshot(tmp_path))
    rows, domain = some_rows()
    if name in ORDER_IS_MEANING:
        [tower] = [v for v in model.variables if v.name.endswith("specific_tower/layer_1/kernel:0")]
        [moved] = [v for v in next_model.variables if v.name == tower.name]
        np.testing.assert_array_equal(moved.numpy(), tower.numpy()[order_of(domains, DOMAINS)])
        return
    np.testing.assert_allclose(
        answers(next_model, *reshuffled(rows, domain, domains, values)),
        answers(model, rows, domain),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ["dfei", "mlp", "star"])
def test_a_new_domain_and_new_values_leave_the_answers_for_others_where_no_sum_runs_over_domains(name):
    domains = ("n", *DOMAINS)
    values = {"user": ["u9", *VALUES["user"]], "tags": [*VALUES["tags"], "t9"]}
    model, optimizer = built(name, layout())
    next_model, next_optimizer = built(name, layout(domains, values), seed=9, scatter=False)
    warm_start(next_model, next_optimizer, values, take_snapshot(model, optimizer, VALUES))
    rows, domain = some_rows()
    before = answers(model, rows, domain)
    now = answers(next_model, *reshuffled(rows, domain, domains, values))
    assert np.isfinite(
        answers(next_model, reshuffled(rows, domain, domains, values)[0], np.zeros_like(domain))
    ).all()
    if name != "dfei":  # whose attention reaches the new domain too
        np.testing.assert_allclose(now, before, atol=1e-5)


def test_what_is_new_begins_as_the_table_says():
    domains, values = ("b", "a", "n"), {"user": ["u9", "u2"], "tags": ["t1"]}
    model, optimizer = built("dfei", layout(), common_base=True)
    next_model, next_optimizer = built(
        "dfei", layout(domains, values), seed=9, scatter=False, common_base=True
    )
    warm_start(next_model, next_optimizer, values, take_snapshot(model, optimizer, VALUES))
    old = {variable_name(v): v.numpy() for v in model.variables}
    new = {variable_name(v): v.numpy() for v in next_model.variables}
    table, before = new["dfei/embedding/table"], old["dfei/embedding/table"]
    np.testing.assert_allclose(
        table[1], before[5:7].mean(0), rtol=1e-6
    )  # u9: the two buckets of unknown users
    np.testing.assert_array_equal(table[2], before[2])  # u2
    np.testing.assert_array_equal(table[3:5], before[5:7])  # unknown users
    np.testing.assert_array_equal(table[0], before[0])
    kernel, offset = "dfei/specific_tower/layer_1/base_kernel", "dfei/specific_tower/layer_1/kernel"
    np.testing.assert_array_equal(new[kernel], old[kernel])
    np.testing.assert_array_equal(new[offset][:2], old[offset][[1, 0]])
    np.testing.assert_array_equal(new[offset][2], np.zeros_like(new[offset][2]))
    assert new["dfei/domain_extraction/seen"].tolist()[2] == 0
    np.testing.assert_array_equal(
        new["dfei/domain_extraction/state"][:2], old["dfei/domain_extraction/state"][[1, 0]]
    )
    # Columns of x: 3 features x 3, 2 numbers, 2 averages, then 2 values in each of 3 domains.
    tower = new["dfei/shared_tower/layer_0/kernel"]
    np.testing.assert_array_equal(tower[-2:], np.zeros_like(tower[-2:]))
    np.testing.assert_array_equal(tower[13:15], old["dfei/shared_tower/layer_0/kernel"][15:17])


def test_without_a_common_base_a_new_domain_begins_at_the_mean_of_the_others():
    model, optimizer = built("dfei", layout())
    next_model, next_optimizer = built("dfei", layout((*DOMAINS, "n")), seed=9)
    warm_start(next_model, next_optimizer, VALUES, take_snapshot(model, optimizer, VALUES))
    [head] = [v for v in model.variables if v.name.endswith("specific_head/unit/kernel:0")]
    [moved] = [v for v in next_model.variables if v.name == head.name]
    np.testing.assert_allclose(moved.numpy()[-1], head.numpy().mean(0), rtol=1e-5)


def test_a_new_number_has_no_say_before_it_is_learned():
    model, optimizer = built("mlp", layout())
    grown = layout(numeric=("age", "new", "hour"))
    next_model, next_optimizer = built("mlp", grown, seed=9)
    warm_start(next_model, next_optimizer, VALUES, take_snapshot(model, optimizer, VALUES))
    rows, domain = some_rows()
    more = {**rows, "numeric": np.insert(rows["numeric"], 1, 7.0, axis=1)}
    np.testing.assert_allclose(answers(next_model, more, domain), answers(model, rows, domain), atol=1e-5)


def test_adams_slots_go_with_their_weights_and_its_steps_are_counted_on():
    model, optimizer = built("dfei", layout())
    rng = np.random.default_rng(0)
    names = list(optimizer.slots()["mean"])
    slots = {
        slot: {n: rng.random(value.shape).astype(np.float32) for n, value in by_name.items()}
        for slot, by_name in optimizer.slots().items()
    }
    optimizer.continue_from(40, slots)
    next_model, next_optimizer = built("dfei", layout(tuple("edcba")), seed=9)
    warm_start(next_model, next_optimizer, VALUES, take_snapshot(model, optimizer, VALUES))
    moved = next_optimizer.slots()
    [head] = [n for n in names if n.endswith("specific_head/unit/kernel")]
    for slot in ("mean", "square", "steps"):
        np.testing.assert_array_equal(moved[slot][head], slots[slot][head][::-1])
    assert next_optimizer.steps_made() == 40
    assert int(next_optimizer.iterations) == 0


def test_going_on_equals_never_having_stopped():
    def steps(optimizer, variable, n):
        for k in range(n):
            optimizer.apply([variable * 0.1 + k % 3])

    whole, first, second = (tf.Variable([1.0, -2.0], name="w") for _ in range(3))
    pairs = [("w", 1.0)]
    once = TwoRateOptimizer([whole], pairs)
    steps(once, whole, 12)
    before = TwoRateOptimizer([first], pairs)
    steps(before, first, 6)
    second.assign(first)
    after = TwoRateOptimizer([second], pairs)
    after.continue_from(before.steps_made(), before.slots())
    steps(after, second, 6)
    np.testing.assert_allclose(second.numpy(), whole.numpy(), rtol=1e-6)


def test_another_model_or_size_is_refused_with_what_changed():
    model, optimizer = built("mlp", layout())
    snapshot = take_snapshot(model, optimizer, VALUES)
    assert cannot_follow(snapshot, settings("mlp")) is None
    assert "model.name was 'mlp' and is 'dfei'" in (cannot_follow(snapshot, settings("dfei")) or "")
    wider = dataclasses.replace(snapshot, settings=ModelSettings(name="mlp", layers=[6, 4]))
    with pytest.raises(ValueError, match=r"model\.layers was \[6, 4\] and is \[5, 4\]"):
        warm_start(model, optimizer, VALUES, wider)


@pytest.mark.parametrize("name", ["hmoe", "ple"])
def test_more_domains_than_a_sum_reaches(name):
    many = tuple(f"d{n}" for n in range(40))
    model, optimizer = built(name, dataclasses.replace(layout(), domains=many))
    next_model, next_optimizer = built(name, dataclasses.replace(layout(), domains=(*many, "new")), seed=9)
    warm_start(next_model, next_optimizer, VALUES, take_snapshot(model, optimizer, VALUES))
    for variable in next_model.variables:
        assert np.isfinite(variable.numpy()).all()
