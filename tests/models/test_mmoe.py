from __future__ import annotations

import numpy as np

from tests.models.building import (
    assert_rows,
    batch_of,
    gradients,
    head,
    moved,
    relu,
    small_model,
    softmax,
    weights_of,
)


def test_against_numpy():
    model = small_model("mmoe", options={"experts": 3})
    batch = batch_of(model, [2, 0, 2])
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate([2, 0, 2]):
        gate = softmax(x[g] @ w["specific_gate/scores/kernel"][d])
        h = np.zeros((5, 4))
        for k in range(3):
            e = x[g]
            for i in range(2):
                e = relu(e @ w[f"experts/layer_{i}/kernel"][k] + w[f"experts/layer_{i}/bias"][k])
            h += gate[:, k : k + 1] * e
        assert_rows(batch[2][g], model(batch)[g], head(w, h, d), rtol=1e-4, atol=1e-5)


def test_the_gate_is_linear_without_bias():
    w = weights_of(small_model("mmoe"))
    gates = {name: value.shape for name, value in w.items() if name.startswith("specific_gate")}
    assert gates == {"specific_gate/scores/kernel": (4, w["experts/layer_0/kernel"].shape[1], 4)}


def test_a_domains_loss_moves_its_gate_and_tower_and_all_experts():
    model = small_model("mmoe", options={"experts": 3})
    found = gradients(model, batch_of(model, [3, 1], size=20))
    assert moved(found["specific_gate/scores/kernel:0"]) == [1, 3]
    assert moved(found["specific_head/unit/kernel:0"]) == [1, 3]
    assert moved(found["experts/layer_0/kernel:0"]) == [0, 1, 2]
