"""Errors name the file and the line; settings reach every place of the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset import load_declaration
from components.errors import InputError

TEXT = """\
# A comment.
name: tiny
impressions: {files: log.csv}
lookups:
  - {files: users.csv, key: uid}
  - files: [items.csv]
    key: {iid: id}
label: click
domain: scene
timestamp:
  column: at
  unit: ms
columns:
  scene: int
features:
  price:
    type: float
    treatment: normalise
  uid: {type: int, treatment: vocabulary}
  iid: {type: int, treatment: vocabulary}
"""


def refusal(folder: Path, text: str, *overrides: str) -> str:
    path = folder / "tiny.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_declaration(str(path), overrides)
    return str(caught.value).replace(str(folder) + "/", "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "unit: ms",
            "unit: hours",
            "tiny.yaml:12: timestamp.unit: input should be 's', 'ms', 'us', 'ns', 'iso', 'dmy', 'mdy', 'yymmddhh' "
            "or 'random'",
        ),
        ("normalise\n", "normalized\n", "tiny.yaml:18: features.price.treatment: input should be"),
        ("    type: float\n", "", "tiny.yaml:16: features.price.type: is required and missing"),
        (
            "    key: {iid: id}\n",
            "    keys: iid\n",
            "tiny.yaml:6: lookups.1.key: is required and missing\ntiny.yaml:7: lookups.1.keys: unknown",
        ),
        ("label: click\n", "", "tiny.yaml:1: label: is required and missing"),
        ("label: click", "label: uid", "tiny.yaml:8: label: uid is a feature"),
        ("domain: scene", "domain: seen", "tiny.yaml:9: domain: seen has no type"),
        ("domain: scene", "domain: scene\ndomain: x", 'tiny.yaml:10: found duplicate key "domain"'),
        ("label: click", "label: [click", "tiny.yaml:9: not valid YAML"),
        (
            "label: click",
            "label: [log-{data_day}.csv]",
            "tiny.yaml:8: not valid YAML: expected ',' or ']', but got '{'; a pattern with {data_day} stands in quotes",
        ),
        (
            "scene: int",
            "scene: bool",
            "tiny.yaml:14: columns.scene: input should be 'int', 'float' or 'string'",
        ),
    ],
)
def test_error_names_file_and_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TEXT
    assert refusal(tmp_path, TEXT.replace(old, new, 1)).startswith(expected)


def test_every_problem_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, TEXT.replace("unit: ms", "unit: h").replace("normalise\n", "normalized\n"))
    assert [line.split(": ")[1] for line in message.splitlines()] == [
        "timestamp.unit",
        "features.price.treatment",
    ]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", ""])
def test_document_that_is_no_table(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text).startswith("tiny.yaml:1: expected a table of settings")


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown dataset 'kuairand'\. Did you mean kuairand-"):
        load_declaration("kuairand")
    with pytest.raises(InputError, match="no such declaration file"):
        load_declaration(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("split.eval_days=3", ("split", "eval_days"), 3),
        ("label=long", ("label",), "long"),
        ("model.layers=[8, 4]", ("model", "layers"), [8, 4]),
        ("training.learning_rate=1e-2", ("training", "learning_rate"), 0.01),
        ("lookups.1.prefix=item_", ("lookups", 1, "prefix"), "item_"),
        ("features.price.treatment=as_is", ("features", "price", "treatment"), "as_is"),
        ("features.new={type: int, treatment: buckets}", ("features", "new", "buckets"), 10),
        ("evaluation.thresholds.gauc.min=0.6", ("evaluation", "thresholds", "gauc", "min"), 0.6),
        ("evaluation.domains.7.min=0.6", ("evaluation", "domains", "7", "min"), 0.6),
        ("model.options.experts=3", ("model", "options", "experts"), 3),
        ("moving_average.prior_strength=5", ("moving_average", "prior_strength"), 5.0),
        ("description=a = b", ("description",), "a = b"),
        ("author=uid", ("author",), "uid"),
    ],
)
def test_override(tmp_path: Path, override: str, path: tuple[str | int, ...], value: object) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TEXT)
    found: object = load_declaration(str(file), [override]).model_dump(mode="json")
    for part in path:
        found = found[part]  # type: ignore[index]
    assert found == value


@pytest.mark.parametrize(
    ("in_file", "override", "expected"),
    [
        ("", "log_loss.max=0.5", {"average_auc": (0.5, None, 0.01), "log_loss": (None, 0.5, None)}),
        ("", "average_auc.min=0.6", {"average_auc": (0.6, None, 0.01)}),
        ("", "gauc=null", {"average_auc": (0.5, None, 0.01)}),
        ("", "average_auc=null", {}),
        ("{min_rows: 9}", "gauc.min=0.6", {"average_auc": (0.5, None, 0.01), "gauc": (0.6, None, None)}),
        ("{thresholds: {}}", "gauc.min=0.6", {"gauc": (0.6, None, None)}),
        (
            "{thresholds: {log_loss: {max: 1}}}",
            "gauc.min=0.6",
            {"log_loss": (None, 1, None), "gauc": (0.6, None, None)},
        ),
    ],
)
def test_a_gate_that_is_set_leaves_the_others(
    tmp_path: Path, in_file: str, override: str, expected: dict[str, tuple[float | None, ...]]
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TEXT + (f"evaluation: {in_file}\n" if in_file else ""))
    thresholds = dict(
        load_declaration(str(file), [f"evaluation.thresholds.{override}"]).evaluation.thresholds
    )
    if "thresholds" not in in_file:
        expected = expected | {"normalized_entropy": (None, 1.0, None), "calibration": (0.5, 2.0, None)}
    assert {name: (bound.min, bound.max, bound.max_drop) for name, bound in thresholds.items()} == expected


def test_a_part_of_a_default_list(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TEXT)
    assert load_declaration(str(file), ["model.layers.0=256"]).model.layers == [256, 64, 32]
    assert load_declaration(str(file)).model.layers == [128, 64, 32]


def test_null_removes_an_entry(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TEXT)
    declaration = load_declaration(str(file), ["features.price=null"])
    assert "price" not in declaration.features


def test_later_override_wins(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TEXT)
    assert load_declaration(str(file), ["seed=3", "seed=4"]).seed == 4


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "splt.eval_days=3",
            "--set splt.eval_days=3: the declaration has no setting 'splt'. Did you mean split?",
        ),
        ("split.evaldays=3", "`split` has no setting 'evaldays'. Did you mean eval_days"),
        (
            "features.price.tretment=as_is",
            "`features.price` has no setting 'tretment'. Did you mean treatment?",
        ),
        (
            "training.learning_rat=1",
            "`training` has no setting 'learning_rat'. Did you mean learning_rate or learning_rate_schedule?",
        ),
        ("training.lr=1", "`training` has no setting 'lr'. Did you mean learning_rate?"),
        ("lookups.2.key=x", "'2' is no position in a list of 2"),
        ("lookups.x=1", "'x' is no position in a list of 2"),
        ("seed.a=1", "`seed` is a single value, it has no 'a'"),
        ("seed", "expected name=value"),
        ("=3", "expected name=value"),
        ("label=[a", "'[a' is not a YAML value; quote it"),
        (
            "split.eval_days=two",
            "--set split.eval_days=two: split.eval_days: input should be a valid integer",
        ),
        ("label=price", "--set label=price: label: price is a feature"),
        (
            "features.price.type=string",
            "--set features.price.type=string: features.price: treatment normalise needs",
        ),
        ("source=x", "source: unknown setting"),
    ],
)
def test_bad_override(tmp_path: Path, override: str, expected: str) -> None:
    assert expected in refusal(tmp_path, TEXT, override)
