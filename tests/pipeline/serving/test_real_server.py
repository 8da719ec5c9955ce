"""Says whether the conformance tests ran against the real server too."""

from __future__ import annotations

import pytest

from tests.pipeline.serving.conftest import Served, real_binary


def test_the_conformance_tests_run_against_tensorflow_model_server(request: pytest.FixtureRequest) -> None:
    if real_binary() is None:
        pytest.skip(
            "no tensorflow_model_server on PATH or in TENSORFLOW_MODEL_SERVER: "
            "the conformance tests ran against this project's server only"
        )
    real: Served = request.getfixturevalue("real")
    assert real.kind == "real"
