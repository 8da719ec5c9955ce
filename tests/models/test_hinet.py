from __future__ import annotations

import numpy as np
import pytest

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


def extract(w: dict[str, np.ndarray], x: np.ndarray, kind: str, *index: int) -> np.ndarray:
    """SEI of rows `(B, in)`: the shared one, or a domain's."""
    gate = w["shared_gate/kernel"] if kind == "shared" else w["specific_gate/scores/kernel"][index]
    weights = softmax(x @ gate)
    total = 0
    for k in range(weights.shape[1]):
        e = x
        for i in range(2):
            kernel, bias = (w[f"{kind}_experts/layer_{i}/{part}"][(*index, k)] for part in ("kernel", "bias"))
            e = relu(e @ kernel + bias)
        total = total + weights[:, k : k + 1] * e
    return total


def attention(w: dict[str, np.ndarray], d: int, others: list[int]) -> np.ndarray:
    scores = w["specific_domain_embedding/vectors"][d] @ w["attention/kernel"] + w["attention/bias"]
    return softmax(scores[others])


@pytest.mark.parametrize(("domains", "peers"), [(4, 32), (6, 3)])
def test_against_numpy(domains, peers):
    model = small_model("hinet", domains, options={"experts": 3, "peers": peers})
    groups = [2, 0, domains - 1]
    batch = batch_of(model, groups)
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate(groups):
        others = [j for j in range(min(domains, peers)) if j != d]
        weights = attention(w, d, others)
        attended = sum(a * extract(w, x[g], "specific", j) for a, j in zip(weights, others, strict=True))
        parts = [attended, extract(w, x[g], "specific", d), extract(w, x[g], "shared")]
        expected = head(w, np.concatenate(parts, -1), d)
        assert_rows(batch[2][g], model(batch)[g], expected, rtol=1e-3, atol=1e-4)
        shown = model.explain(batch)[g, 0].numpy()
        np.testing.assert_allclose(shown[others], weights, rtol=1e-5)
        assert shown[d] == 0


def test_of_two_domains_each_attends_wholly_to_the_other():
    model = small_model("hinet", domains=2)
    np.testing.assert_array_equal(model.explain(batch_of(model, [0, 1]))[:, 0], [[0, 1], [1, 0]])


def test_a_single_domain_has_nobody_to_attend_to():
    model = small_model("hinet", domains=1)
    np.testing.assert_array_equal(model.explain(batch_of(model, [0])), np.zeros((1, 5, 1)))
    assert np.isfinite(model(batch_of(model, [0]))).all()


def test_a_domains_loss_moves_all_experts_but_its_own_head_and_vector():
    model = small_model("hinet")
    found = gradients(model, batch_of(model, [2], size=20))
    assert moved(found["specific_experts/layer_0/kernel:0"]) == [0, 1, 2, 3]
    assert moved(found["specific_gate/scores/kernel:0"]) == [0, 1, 2, 3]
    assert moved(found["specific_head/unit/kernel:0"]) == [2]
    assert moved(found["specific_domain_embedding/vectors:0"]) == [2]


def test_a_gate_over_one_expert_is_refused():
    with pytest.raises(ValueError, match="experts: expected at least 2, got 1"):
        small_model("hinet", options={"experts": 1})
