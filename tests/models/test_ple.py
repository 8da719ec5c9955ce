from __future__ import annotations

import numpy as np
import pytest

from models.ple import deal_out
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


def experts(w: dict[str, np.ndarray], name: str, x: np.ndarray, *index: int) -> list[np.ndarray]:
    """Outputs of all experts of a bank, for rows `(B, in)`."""
    outputs = []
    for e in range(w[f"{name}/layer_0/bias"][index].shape[0]):
        h, i = x, 0
        while f"{name}/layer_{i}/kernel" in w:
            kernel, bias = (w[f"{name}/layer_{i}/{part}"][(*index, e)] for part in ("kernel", "bias"))
            h, i = relu(h @ kernel + bias), i + 1
        outputs.append(h)
    return outputs


def mixed(scores: np.ndarray, outputs: list[np.ndarray]) -> np.ndarray:
    return np.einsum("be,ebo->bo", softmax(scores), np.stack(outputs))


def logits(w: dict[str, np.ndarray], x: np.ndarray, d: int, levels: int, peers: list[int]) -> np.ndarray:
    """The definition for rows `(B, in)` of domain `d`; the shared gate reaches the domains `peers`."""
    of_domain = dict.fromkeys({*peers, d}, x)
    shared = x
    columns = [*peers, *([d] if d not in peers else [])]
    for level in range(levels):
        name = f"level_{level}"
        own = {j: experts(w, f"{name}/specific_experts", h, j) for j, h in of_domain.items()}
        common = experts(w, f"{name}/shared_experts", shared)
        above = {
            j: mixed(h @ w[f"{name}/specific_gate/scores/kernel"][j], [*own[j], *common])
            for j, h in of_domain.items()
        }
        if level < levels - 1:
            scores = shared @ w[f"{name}/shared_gate/kernel"]
            k = len(own[d])
            kept = len(columns) * k
            scores = np.concatenate([scores[:, :kept], scores[:, -len(common) :]], -1)
            shared = mixed(scores, [*(e for j in columns for e in own[j]), *common])
        of_domain = above
    return head(w, of_domain[d], d)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_against_numpy(levels):
    options = {"levels": levels, "own_experts": 2, "shared_experts": 3}
    model = small_model("ple", layers=[5, 4, 3], options=options)
    groups = [2, 0, 2]
    batch = batch_of(model, groups)
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate(groups):
        expected = logits(w, x[g], d, levels, [0, 1, 2, 3])
        assert_rows(batch[2][g], model(batch)[g], expected, rtol=1e-3, atol=1e-4)


def test_with_many_domains_the_shared_gate_reaches_the_largest_and_the_own():
    model = small_model("ple", 6, layers=[5, 4, 3], options={"levels": 3, "own_experts": 2, "peers": 2})
    groups = [4, 1]
    batch = batch_of(model, groups)
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate(groups):
        assert_rows(batch[2][g], model(batch)[g], logits(w, x[g], d, 3, [0, 1]), rtol=1e-3, atol=1e-4)


def test_the_shared_gate_runs_over_all_experts_and_is_absent_at_the_last_level():
    w = weights_of(small_model("ple", options={"own_experts": 2, "shared_experts": 3}))
    assert w["level_0/shared_gate/kernel"].shape[1] == 4 * 2 + 3
    assert w["level_0/specific_gate/scores/kernel"].shape[2] == 2 + 3
    assert "level_1/shared_gate/kernel" not in w


def test_a_loss_moves_all_experts_below_and_its_own_above():
    model = small_model("ple")
    found = gradients(model, batch_of(model, [2], size=20))
    assert moved(found["level_0/specific_experts/layer_0/kernel:0"]) == [0, 1, 2, 3]
    assert moved(found["level_1/specific_experts/layer_0/kernel:0"]) == [2]
    assert moved(found["level_0/specific_gate/scores/kernel:0"]) == [2]
    cgc = small_model("ple", options={"levels": 1})
    found = gradients(cgc, batch_of(cgc, [2], size=20))
    assert moved(found["level_0/specific_experts/layer_0/kernel:0"]) == [2]


def test_layers_are_dealt_out_in_order():
    assert deal_out([128, 64, 32], 2) == [[128, 64], [32]]
    assert deal_out([128, 64, 32], 1) == [[128, 64, 32]]
    assert deal_out([128, 64, 32], 3) == [[128], [64], [32]]


@pytest.mark.parametrize(
    ("levels", "message"), [(0, "expected at least 1, got 0"), (3, "expected 1 to 2, .* got 3")]
)
def test_levels_without_a_layer_are_refused(levels, message):
    with pytest.raises(ValueError, match=message):
        small_model("ple", options={"levels": levels})
