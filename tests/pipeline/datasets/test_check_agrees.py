"""`check` and `run` cannot disagree: every broken input that the ingestion's own tests know goes through both."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from components.dataset import Declaration
from components.dataset.schema import draft_schema
from components.errors import InputError
from pipeline.datasets.checking.check import check
from tests.components.example_gen import test_refusals as broken
from tests.components.example_gen.small import run_ingest

# A full disk is found where a run writes; how Beam hands errors on is no property of the data.
_NOT_OF_THE_DATA = (
    "test_full_disk",
    "test_a_workers_message_crosses_the_beam_runner",
    "test_unreadable_folder",
)


def _cases() -> list[Any]:
    cases = []
    for name, test in inspect.getmembers(broken, inspect.isfunction):
        if not name.startswith("test_") or name in _NOT_OF_THE_DATA:
            continue
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        if not marks:
            cases.append(pytest.param(test, {}, id=name))
            continue
        names, values = marks[0].args
        names = [names] if isinstance(names, str) else list(names)
        for value in values:
            given = dict(zip(names, [value] if len(names) == 1 else value, strict=True))
            cases.append(pytest.param(test, given, id=f"{name}-{'-'.join(map(str, given.values()))}"))
    return cases


@pytest.mark.parametrize(("test", "given"), _cases())
def test_both_refuse_or_both_take_an_input(
    test: Callable[..., None], given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed = []

    def both(declaration: Declaration, data: Path, out: Path, **sizes: Any) -> dict[str, Any]:
        schema = Path(declaration.source).with_suffix(".pbtxt")
        schema.write_text(text_format.MessageToString(draft_schema(declaration)))
        # Gates judge a model; ExampleGen, which is compared here, has none.
        gates = declaration.evaluation.model_copy(update={"thresholds": {}})
        result = check(declaration.model_copy(update={"evaluation": gates}), data)
        try:
            report = run_ingest(declaration, data, out, **sizes)
        except InputError as error:
            assert not result.would_run, f"a run refuses what the check takes: {error}"
            said = "\n".join(finding.found for finding in result.findings if finding.level == "fail")
            # In the same words, up to the remedy, which has a column of its own.
            assert str(error).split("; ")[0].split("\n")[0] in said
            agreed.append(False)
            raise
        refused = [finding for finding in result.findings if finding.level == "fail"]
        assert result.would_run, f"the check refuses what a run takes: {refused}"
        assert (
            result.figures["train"] + result.figures["eval"]
            == report["train"] + report["eval"] + report["duplicates"]
        )
        agreed.append(True)
        return report

    monkeypatch.setattr(broken, "run_ingest", both)
    test(tmp_path, **given)
    assert agreed
