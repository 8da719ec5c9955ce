from __future__ import annotations

import json

import pytest

from models.features import CategoricalFeature, FeatureLayout
from tests.models.helpers import small_layout


def test_json_gives_the_layout_back():
    layout = small_layout(domains=3, history=2)
    assert FeatureLayout.from_json(layout.to_json()) == layout


def test_shapes_count_lists_with_their_width_and_leave_out_what_is_absent():
    assert small_layout(domains=4, averages=3, history=2).row_shapes() == {
        "categorical": (6,),
        "numeric": (2,),
        "averages": (3,),
        "history": (4, 2),
    }
    assert FeatureLayout(categorical=(), numeric=("a",), domains=("x",)).row_shapes() == {"numeric": (1,)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": "nobody"}, "user 'nobody' is not a categorical feature"),
        ({"domains": ()}, "at least one domain"),
        ({"domain_rows": (1,)}, "1 row counts for 2 domains"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(change, message):
    arguments = {"categorical": (CategoricalFeature("a", 3),), "domains": ("x", "y"), **change}
    with pytest.raises(ValueError, match=message):
        FeatureLayout(**arguments)


def test_repeated_features_and_empty_sizes_are_refused():
    with pytest.raises(ValueError, match="repeat"):
        FeatureLayout(categorical=(CategoricalFeature("a", 3),) * 2, domains=("x",))
    with pytest.raises(ValueError, match="size must be at least 1"):
        CategoricalFeature("a", 0)
    with pytest.raises(ValueError, match="width must be at least 1"):
        CategoricalFeature("a", 2, 0)


def test_json_with_unknown_or_missing_keys_is_refused():
    document = json.loads(small_layout().to_json())
    with pytest.raises(ValueError, match="unknown keys"):
        FeatureLayout.from_json(json.dumps({**document, "colour": 1}))
    del document["categorical"]
    with pytest.raises(ValueError, match="not a feature layout"):
        FeatureLayout.from_json(json.dumps(document))
