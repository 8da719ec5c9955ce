"""What a comparison may conclude from an average over domains that tell little."""

from __future__ import annotations

import pytest

from components.comparison.lead import ONE_TRAINING, Lead
from components.comparison.significance import seed_test
from pipeline.compare.result import Versus
from pipeline.compare.story import verdicts, within_domains


def versus(low: float, high: float, domains: dict[str, tuple[float, float]]) -> Versus:
    return Versus(
        difference=(low + high) / 2,
        seed_p_value=None,
        low=low,
        high=high,
        standard_error=(high - low) / 3.92,
        wins=0.5,
        domains={
            name: Lead(difference=middle, low=middle - half, high=middle + half)
            for name, (middle, half) in domains.items()
        },
    )


def test_domains_weigh_by_what_they_tell():
    # Two domains of a few clicks are far behind, the two of many are level.
    found = versus(
        -0.035, -0.002, {"a": (0.0, 0.004), "b": (0.001, 0.004), "c": (-0.05, 0.05), "d": (-0.03, 0.04)}
    )
    assert Lead(difference=found.difference, low=found.low, high=found.high).verdict == "behind"
    assert found.weighted is not None
    assert found.weighted.difference == pytest.approx(0.0, abs=0.001)
    assert found.verdict == "unknown"
    told = verdicts("DFEI", [("MLP", found)], 1000)
    assert "not known" in told and "MLP" in told and "beyond chance" not in told


def test_what_the_seeds_disagree_on_is_not_known():
    once, agree, disagree = (
        versus(0.02, 0.03, {}).model_copy(
            update={"seeds": len(seeds), "seeds_agree": seed_test(seeds, [0.0] * len(seeds)).agree}
        )
        for seeds in ([0.025], [0.02, 0.03], [-0.01, 0.06])
    )
    assert (once.verdict, agree.verdict, disagree.verdict) == ("ahead", "ahead", "unknown")
    told = verdicts("DFEI", [("MLP", disagree)], 1000)
    assert told.startswith("The seeds do not agree how DFEI stands to MLP")
    assert "DFEI is ahead beyond chance of MLP" in verdicts("DFEI", [("MLP", agree)], 1000)


def test_nothing_is_beyond_chance_between_models_that_were_trained_once():
    domains = {"a": (0.03, 0.01), "b": (0.02, 0.01)}
    once = versus(0.02, 0.03, domains).model_copy(update={"seeds": 1})
    for told in (verdicts("DFEI", [("MLP", once)], 1000), within_domains("DFEI", "MLP", once, "tab")):
        assert "DFEI" in told and "ahead" in told
        assert "beyond chance" not in told and ONE_TRAINING in told


def test_weighted_mean_by_hand():
    found = versus(0.01, 0.03, {"a": (0.01, 1.96 * 0.01), "b": (0.04, 1.96 * 0.02)})
    # Weights 1/.01^2 and 1/.02^2: (4 * .01 + .04) / 5, standard error .01 * sqrt(4 / 5).
    assert found.weighted is not None
    assert found.weighted.difference == pytest.approx(0.016)
    assert found.weighted.low == pytest.approx(0.016 - 1.96 * 0.01 * 0.8**0.5)


@pytest.mark.parametrize(
    ("low", "high", "domains", "verdict"),
    [
        (0.01, 0.03, {"a": (0.02, 0.01), "b": (0.02, 0.015)}, "ahead"),
        (-0.03, -0.01, {"a": (-0.02, 0.01), "b": (-0.02, 0.015)}, "behind"),
        (-0.004, 0.005, {"a": (0.02, 0.01)}, "tie"),
        (-0.01, 0.004, {"a": (0.02, 0.01)}, "unknown"),
        (0.01, 0.03, {}, "ahead"),
        (0.01, 0.03, {"a": (0.02, 0.0)}, "ahead"),
        (0.01, 0.03, {"a": (-0.02, 0.001), "b": (0.06, 0.05)}, "unknown"),
    ],
)
def test_verdicts(low, high, domains, verdict):
    assert versus(low, high, domains).verdict == verdict
