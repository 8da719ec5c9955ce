"""Only an answer of the process that checks a model is a verdict on the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import InputError
from components.signature_check import component


def _check(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Runs `code` in the place of the process that checks."""
    script = tmp_path / "script.py"
    script.write_text(code)
    monkeypatch.setattr(component.fresh_process, "__file__", str(script))
    return component.run_fresh_process("/model", tmp_path / "requests.npz", tmp_path / "report.json")


def test_no_answer_in_time_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"/model had no answer within 0\.5 s.*same command again"):
        _check("import time; time.sleep(60)", tmp_path, monkeypatch)
    assert not (tmp_path / "report.json").exists()


def test_a_process_that_was_killed_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"(?s)ended by signal 9 \(Killed\).*same command again.*loading"):
        _check(
            "import os, sys; print('loading', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)",
            tmp_path,
            monkeypatch,
        )
    assert not (tmp_path / "report.json").exists()


def test_a_model_that_does_not_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [check] = _check("raise ValueError('no such op')", tmp_path, monkeypatch)
    assert check["passed"] is False
    assert "exit code 1" in str(check["detail"])
    assert "no such op" in str(check["detail"])


def test_its_report_is_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = "[{'check': 'it loads', 'passed': True, 'detail': ''}]".replace("'", '"').replace("True", "true")
    code = f"import pathlib, sys; pathlib.Path(sys.argv[3]).write_text({report!r})"
    assert _check(code, tmp_path, monkeypatch) == [{"check": "it loads", "passed": True, "detail": ""}]
