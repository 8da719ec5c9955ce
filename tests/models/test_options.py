"""Settings that one model alone has."""

from __future__ import annotations

import pytest

from models.options import Option
from models.registry import (
    DFEI_READS,
    MODELS,
    TREES,
    build_model,
    check_options,
    check_read,
    options_of,
)
from models.settings import ModelSettings
from tests.models.helpers import random_batch, small_layout


def test_an_entry_replaces_the_default():
    assert Option(8).read("experts", {"experts": 4}) == 4
    assert Option(8).read("experts", {"levels": 4}) == 8


def test_a_whole_number_will_do_for_a_float():
    value = Option(0.5, least=0).read("rate", {"rate": 1})
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (Option(8), "many", "model.options.x: expected int, got 'many'"),
        (Option(8), 4.0, "model.options.x: expected int, got 4.0"),
        (Option(8), True, "model.options.x: expected int, got True"),
        (Option(0.5), "1", "model.options.x: expected float, got '1'"),
        (Option(8), 10**18, r"expected at least 1 and at most 1e\+06, got 1000000000000000000"),
        (Option(8), 0, "model.options.x: expected at least 1, got 0"),
        (Option(0.5, least=0, most=1), 2, "model.options.x: expected at least 0 and at most 1, got 2.0"),
        (Option(0.5), float("inf"), r"expected at least 1 and at most 1e\+06, got inf"),
        (Option(0.5, least=0, most=1), float("nan"), "expected at least 0 and at most 1, got nan"),
    ],
)
def test_what_is_refused(option, value, message):
    with pytest.raises(ValueError, match=message):
        option.read("x", {"x": value})


@pytest.mark.parametrize("name", [*MODELS, TREES])
def test_defaults_are_within_their_bounds(name):
    for option, known in options_of(name).items():
        assert known.read(option, {}) == known.default


def test_a_value_has_to_suit_every_model_that_has_the_option():
    check_options({"experts": 1}, ["mmoe"])
    with pytest.raises(ValueError, match=r"model\.options\.experts: expected at least 2, got 1"):
        check_options({"experts": 1}, ["mmoe", "hinet"])
    with pytest.raises(ValueError, match=r"model\.options\.rounds: expected at least 1, got 0"):
        check_options({"rounds": 0}, ["dfei", TREES])


def test_what_a_model_would_not_read_is_refused():
    check_read(["decay"], ["mlp", "dfei"])
    check_read(["layers", "use_ids"], ["mlp"])
    with pytest.raises(ValueError, match=r"model\.decay: mlp and ple would not read it"):
        check_read(["layers", "decay"], ["mlp", "ple"])
    with pytest.raises(ValueError, match=r"model\.layers: lightgbm would not read it"):
        check_read(["layers"], [TREES])


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"dfei"}))
def test_dfei_alone_reads_what_is_said_to_be_its_own(name, monkeypatch):
    settings = ModelSettings(name=name, layers=[4, 2], head_hidden=2)
    read = set()
    plain = ModelSettings.__getattribute__

    def watched(self, field):
        read.add(field)
        return plain(self, field)

    monkeypatch.setattr(ModelSettings, "__getattribute__", watched)
    layout = small_layout(3)
    model = build_model(layout, settings)
    rows, domains, weights = random_batch(layout, 3, 4, 0)
    model((rows, domains, weights), training=True)
    assert "layers" in read
    assert read & DFEI_READS == set()
