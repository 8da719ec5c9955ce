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
    tower,
    weights_of,
)


def transferred(w: dict[str, np.ndarray], x: np.ndarray, chain: list[int]) -> np.ndarray:
    """z of the last domain of a chain, for rows `(B, in)`."""
    z = tower(w, "specific_tower", x, chain[0])
    for t in chain[1:]:
        p = relu(z @ w["specific_handover/kernel"][t] + w["specific_handover/bias"][t])
        tokens = np.stack([tower(w, "specific_tower", x, t), p], axis=1)
        q, k, v = (tokens @ w[f"transfer/{name}/kernel"] for name in ("queries", "keys", "values"))
        shares = softmax((q * k).sum(-1) / q.shape[-1] ** 0.5)
        z = (shares[..., None] * v).sum(1)
    return z


@pytest.mark.parametrize("groups", [[3, 0, 1, 3, 2], [0, 0], [2]])
def test_against_numpy(groups):
    model = small_model("aitm")
    batch = batch_of(model, groups)
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate(groups):
        expected = head(w, transferred(w, x[g], list(range(d + 1))), d)
        assert_rows(batch[2][g], model(batch)[g], expected, rtol=1e-3, atol=1e-4)


def test_in_a_bounded_chain_late_domains_follow_its_end():
    model = small_model("aitm", domains=6, options={"chain": 3})
    groups = [5, 2, 1, 3]
    batch = batch_of(model, groups)
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, chain in enumerate([[0, 1, 5], [0, 1, 2], [0, 1], [0, 1, 3]]):
        expected = head(w, transferred(w, x[g], chain), groups[g])
        assert_rows(batch[2][g], model(batch)[g], expected, rtol=1e-3, atol=1e-4)


def test_the_chain_runs_from_the_largest_domain_to_the_smallest():
    model = small_model("aitm")
    assert model.chain == ("tab0", "tab1", "tab2", "tab3")
    assert list(model.layout.domain_rows) == sorted(model.layout.domain_rows, reverse=True)


def test_a_loss_moves_the_towers_of_predecessors_and_its_own_head():
    model = small_model("aitm")
    found = gradients(model, batch_of(model, [2], size=20))
    assert moved(found["specific_tower/layer_0/kernel:0"]) == [0, 1, 2]
    assert moved(found["specific_handover/kernel:0"]) == [1, 2]
    assert moved(found["specific_head/unit/kernel:0"]) == [2]
    first = gradients(model, batch_of(model, [0], size=20))
    assert moved(first["specific_tower/layer_0/kernel:0"]) == [0]
    assert not np.abs(first["transfer/values/kernel:0"]).any()


def test_one_domain_is_a_tower():
    model = small_model("aitm", domains=1)
    batch = batch_of(model, [0])
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()[0]
    assert_rows(batch[2][0], model(batch)[0], head(w, tower(w, "specific_tower", x, 0), 0), rtol=1e-5)


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="chain: expected at least 1, got 0"):
        small_model("aitm", options={"chain": 0})
