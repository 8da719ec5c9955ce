"""Declarations that would hang, grow without end or fall through: refused with the file and the line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.dataset.memory_estimate import least_memory, require_memory
from components.dataset.yaml_limits import require_modest
from components.errors import InputError
from tests.e2e.conftest import dfei
from tests.hostile.conftest import refused

PLAIN = """name: plain
impressions: {files: [log.csv]}
columns: {click: int}
label: click
domain: tab
timestamp: {column: time, unit: s}
features:
  tab: {type: int, treatment: vocabulary}
  item: {type: int, treatment: vocabulary}
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
HOSTILE = {
    "an alias bomb": PLAIN + BOMB,
    "an alias bomb of merges": PLAIN
    + "m0: &m0 {a: 1}\n"
    + "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 12)),
    "5,000 brackets": "name: " + "[" * 5_000,
    "5,000 closed brackets": "name: " + "[" * 5_000 + "]" * 5_000,
    "5,000 braces": "{a: " * 5_000,
    "5,000 levels by dashes": "- " * 5_000 + "x",
    "5,000 levels by indents": "".join(" " * n + "a:\n" for n in range(900)),
    "a comment of 10 MB": PLAIN + "# " + "x" * 10_000_000,
    "comments of 10 MB": PLAIN + "# x\n" * 2_500_000,
    "a text of 10 MB": PLAIN.replace("plain", "p" * 10_000_000, 1),
    "100,000 values": PLAIN + "post_exposure: [" + "x," * 100_000 + "]\n",
    "a list within itself": PLAIN + "post_exposure: &a [*a]\n",
    "a table within itself": PLAIN + "report: &a {study: *a}\n",
    "an alias of nothing": PLAIN + "seed: *nothing\n",
    "a number of 5,000 digits": PLAIN + "seed: " + "9" * 5_000 + "\n",
    "a fraction of 5,000 digits": PLAIN + "max_rejected_share: 0." + "9" * 5_000 + "e9999\n",
    "a number with underscores": PLAIN + "seed: 1" + "_0" * 5_000 + "\n",
    "a hexadecimal number": PLAIN + "seed: 0x" + "f" * 5_000 + "\n",
    "a month 13": PLAIN + "description: 2026-13-45\n",
    "a table as a key": PLAIN + "? {a: 1}\n: b\n",
    "an unknown tag": PLAIN + "seed: !!python/object/apply:os.system [true]\n",
    "a tag that is no number": PLAIN + "seed: !!int abc\n",
    "no text": b"\xff\xfe\x00name",
    "NUL": PLAIN + "seed: \0\n",
    "two documents": PLAIN + "---\n" + PLAIN,
    "nothing": "",
    "a list": "- a\n",
    "a percent sign": "%YAML 99.99\n---\n" + PLAIN,
    **{
        f"{path} = {value}": (path, value)
        for path, value in {
            "features.item.oov_buckets": 10**12,
            "features.item.max_size": 10**18,
            "model.layers": [10**9, 10**9],
            "model.layers ": [8] * 1_000,
            "model.embedding_size": 10**9,
            "model.head_hidden": 10**9,
            "model.attention_size": 10**9,
            "model.personal_heads": 10**9,
            "training.epochs": 10**18,
            "training.batch_size": 10**12,
            "training.domains_per_step": 10**12,
            "training.steps_per_call": 10**12,
            "training.patience": 10**18,
            "split.eval_days": 10**18,
            "split.day_hours": 1e300,
            "moving_average.bucket_hours": 1e-300,
            "moving_average.bucket_hours ": 1e300,
            "moving_average.max_keys": 10**18,
            "report.rows": 10**18,
            "seed": 10**18,
        }.items()
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_soon_and_by_name(name: str, tmp_path: Path) -> None:
    hostile = HOSTILE[name]
    path = tmp_path / "d.yaml"
    overrides: list[str] = []
    if isinstance(hostile, tuple):
        path.write_text(PLAIN)
        overrides = [f"{hostile[0].strip()}={hostile[1]}"]
    else:
        path.write_bytes(hostile if isinstance(hostile, bytes) else hostile.encode())
    begun = time.process_time()
    with pytest.raises(InputError) as error:
        load_declaration(str(path), overrides)
    assert "d.yaml" in str(error.value)
    assert len(str(error.value)) < 4_000
    # Of processor time: minutes and more, where it is not refused before it is read.
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    "value", ["[" * 5_000, "&a [*a]", "9" * 5_000, "2026-13-45", "? {a: 1}\n: b", "x" * 600_000]
)
def test_settings_of_the_command_line_too(value: str, tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(PLAIN)
    with pytest.raises(InputError, match="seed"):
        load_declaration(str(path), [f"seed={value}"])


def test_aliases_that_are_modest_are_read(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(
        PLAIN.replace("tab: {type", "tab: &id {type").replace(
            "item: {type: int, treatment: vocabulary}", "item: *id"
        )
    )
    assert load_declaration(str(path)).features["item"].treatment == "vocabulary"


@pytest.mark.parametrize("text", ["an alias bomb", "5,000 brackets", "a comment of 10 MB"])
def test_commands_end_with_exit_code_2(text: str, tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(str(HOSTILE[text]))
    refused(dfei("dataset", "check", path, "--data", tmp_path), "d.yaml")


def declaration(**changes: Any) -> Declaration:
    document: dict[str, Any] = {
        "name": "plain",
        "impressions": {"files": ["log.csv"]},
        "columns": {"click": "int"},
        "label": "click",
        "domain": "tab",
        "timestamp": {"column": "time", "unit": "s"},
        "features": {
            "tab": {"type": "int", "treatment": "vocabulary", "oov_buckets": 3},
            "item": {"type": "int", "treatment": "buckets", "buckets": 5},
            "price": {"type": "float", "treatment": "normalise"},
        },
        "model": {"layers": [7, 3], "embedding_size": 4},
        "training": {"batch_size": 10, "domains_per_step": 2, "schedule": "mixed"},
    }
    return Declaration.model_validate({**document, **changes})


def test_the_estimate_by_hand() -> None:
    # 3 + 5 entries of 4 floats; 8 inputs to 7 units to 3; 20 rows of 8 inputs and 10 units. A weight has 12 bytes.
    assert list(least_memory(declaration()).values()) == [8 * 4 * 12, (8 * 7 + 7 * 3) * 12, 20 * 18 * 4]
    cyclic = declaration(training={"batch_size": 10, "domains_per_step": 2, "schedule": "cyclic"})
    assert list(least_memory(cyclic).values())[2] == 10 * 18 * 4


def test_the_figure_and_the_setting_are_named() -> None:
    large = declaration(model={"layers": [1 << 16, 1 << 16], "embedding_size": 4})
    with pytest.raises(
        InputError, match=r"at least 48\.0 GiB of memory.*16\.0 GiB.*model\.layers.*48\.0 GiB"
    ):
        require_memory(large, 16 << 30, "this machine")
    require_memory(large, 64 << 30, "this machine")


TEXT = "name : - [ ] { } , &a *a !!int !!map ? > | # << --- ... %YAML 1.2 1 .5 e 0x 2026-01-01 ~ true \" '"
PIECES = TEXT.split()
TOKENS = st.sampled_from([*PIECES, ": ", " ", "\n", "\n  ", "\n- ", "\t", "\0", "é", "\u2028"])


@given(st.lists(TOKENS, max_size=60).map("".join))
def test_whatever_the_text_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    for content in (text, PLAIN + text):
        path.write_text(content, encoding="utf-8")
        try:
            load_declaration(str(path))
        except InputError as error:
            assert "fuzzed.yaml" in str(error)


@given(st.text(max_size=200))
def test_whatever_the_value_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "plain.yaml"
    path.write_text(PLAIN, encoding="utf-8")
    for name in ("seed", "model.layers", "features.item", "moving_average.keys", "split.before", text):
        try:
            load_declaration(str(path), [f"{name}={text}"])
        except InputError as error:
            assert str(error)


def test_a_declaration_of_thousands_of_columns_is_modest() -> None:
    more = (f"  column_{n}: {{type: int, treatment: vocabulary, max_size: 1000}}\n" for n in range(3_000))
    require_modest(PLAIN + "".join(more), "d.yaml")
