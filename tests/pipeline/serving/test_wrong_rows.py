"""What a row is answered that is not what the model takes: which input, and what it takes instead."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.pipeline.serving.conftest import Served
from tests.pipeline.serving.models import NAME


def refused(ours: Served, row: dict[str, Any]) -> str:
    body = json.dumps({"instances": [row]}).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{ours.rest}/v1/models/{NAME}:predict", body, timeout=20)
    assert caught.value.code == 400
    return str(json.loads(caught.value.read())["error"])


def test_a_name_that_is_no_input_is_told_from_the_inputs(ours: Served) -> None:
    said = refused(ours, {"user_id": 3, "duration": 0.5, "tag": "a", "position": 3})
    assert (
        "has position, which is no input; the inputs of signature 'serving_default' are duration,tag,user_id"
        in said
    )


def test_a_list_in_the_place_of_a_text_is_told_how_lists_are_sent(ours: Served) -> None:
    said = refused(ours, {"user_id": 3, "duration": 0.5, "tag": ["a", "b"]})
    assert said.startswith(
        "input 'tag' must be string [n], got string [1, 2]; several values are one text, with U+001F behind each"
    )
