"""What a declaration says, what it derives, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from components.dataset import Declaration, dataset_names, load_declaration
from components.errors import InputError

MINIMAL = """\
name: tiny
impressions: {files: log.csv}
label: click
domain: scene
timestamp: {column: at, unit: ms}
columns: {scene: int}
features:
  price: {type: float, treatment: normalise}
"""


def load(folder: Path, text: str, *overrides: str) -> Declaration:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return load_declaration(str(path), overrides)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, text, *overrides)
    return str(caught.value)


@pytest.mark.parametrize("name", dataset_names())
def test_shipped_declarations_survive_json(name: str) -> None:
    declaration = load_declaration(name)
    assert Declaration.from_json(declaration.to_json()) == declaration
    assert declaration.schema_path().is_file()


@pytest.mark.parametrize("name", dataset_names())
def test_no_post_exposure_column_reaches_a_request(name: str) -> None:
    declaration = load_declaration(name)
    later = {declaration.label, *declaration.post_exposure, declaration.timestamp.column}
    later |= {behaviour.source for behaviour in declaration.behaviours.values()}
    assert later.isdisjoint(declaration.serving_columns())
    assert later.isdisjoint(declaration.features)


def test_kuairand_uses_every_usable_column_of_its_tables() -> None:
    declaration = load_declaration("kuairand-pure")
    user = "user_id user_active_degree is_lowactive_period is_live_streamer is_video_author register_days"
    video = "video_id author_id video_type upload_dt upload_type visible_status video_duration"
    ranged = [
        f"{kind}{end}"
        for kind in ("follow_user_num", "fans_user_num", "friend_user_num")
        for end in ("", "_range")
    ]
    expected = {
        "tab", "duration_ms", *user.split(), *ranged, "register_days_range", *(f"onehot_feat{i}" for i in range(18)),
        *video.split(), "server_width", "server_height", "music_id", "music_type", "tag",
    }  # fmt: skip
    assert set(declaration.features) == expected


def test_groups_keep_the_declared_order(tmp_path: Path) -> None:
    declaration = load(
        tmp_path,
        MINIMAL + "  scene: {type: int, treatment: vocabulary}\n"
        "  age: {type: int, treatment: buckets, buckets: 4}\n  size: {type: float, treatment: as_is}\n",
    )
    assert list(declaration.categorical_features()) == ["scene", "age"]
    assert list(declaration.numeric_features()) == ["price", "size"]


def test_columns_and_their_types(tmp_path: Path) -> None:
    declaration = load(
        tmp_path,
        MINIMAL
        + "behaviours:\n  click: {column: click}\n  watched: {numerator: played, denominator: price}\n",
    )
    assert declaration.raw_columns() == {
        "scene": "int", "click": "int", "at": "int", "price": "float", "played": "float",
    }  # fmt: skip
    assert declaration.example_columns() == {
        "scene": "int", "price": "float", "click": "int", "behaviour.click": "float", "behaviour.watched": "float",
        "local_time_ms": "int",
    }  # fmt: skip
    assert declaration.serving_columns() == {"price": "float", "scene": "int"}
    assert declaration.behaviour_columns() == ("behaviour.click", "behaviour.watched")


def test_another_label_is_one_setting_away() -> None:
    declaration = load_declaration("kuairand-pure", ["label=long_view"])
    assert declaration.label == "long_view"
    assert declaration.example_columns()["long_view"] == "int"
    assert "is_click" not in declaration.example_columns()
    assert "is_click" in declaration.post_exposure


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("  click: {type: int, treatment: vocabulary}\n", "label: click is a feature"),
        ("  at: {type: int, treatment: vocabulary}\n", "features.at: at is the timestamp"),
        (
            "  played: {type: float, treatment: as_is}\npost_exposure: [played]\n",
            "listed under post_exposure",
        ),
        (
            "  played: {type: float, treatment: as_is}\nbehaviours:\n  w: {numerator: played, denominator: price}\n",
            "features.played: played is the source of the behaviour w",
        ),
        ("  local_time_ms: {type: int, treatment: vocabulary}\n", "local_time_ms is reserved"),
        ("  behaviour.x: {type: float, treatment: as_is}\n", "behaviour.x is reserved"),
        ("  a: {type: float, treatment: vocabulary}\n", "a vocabulary needs type int or string"),
        ("  a: {type: string, treatment: normalise}\n", "normalise needs a number"),
        ('  a: {type: int, treatment: buckets, separator: ","}\n', "needs treatment vocabulary, not buckets"),
        ("  a: {type: int, treatment: vocabulary, max_length: 3}\n", "it needs a separator"),
        ("  a: {type: int, treatment: hashed}\n", "features.a.treatment: input should be 'vocabulary', "),
        ("  visitor: {type: int, treatment: vocabulary}\nuser: vistor\n", "Did you mean visitor?"),
        ("user: uid\n", "user: uid has no type: make it a feature, or add `columns: {uid: int}`"),
        ("user: price\n", "user: price must be one int or string"),
        (
            '  a: {type: string, treatment: vocabulary, separator: ";"}\nlookups: [{files: t.csv, key: a}]\n',
            "lookups.0.key: a is a list (it has a separator): a key is a single value",
        ),
        ("item: click\n", "item: click is the label: it cannot be the item too"),
        (
            "moving_average: {keys: [prize]}\n",
            "'prize' is neither a feature nor a role nor a range. Did you mean price?",
        ),
        ("moving_average: {keys: [[user, domain]]}\n", "the declaration has no role `user`"),
        (
            "moving_average: {keys: [price]}\n",
            "price is a float: a key needs an int or a string, or `moving_average.ra",
        ),
        (
            "moving_average: {ranges: {cheap: {column: prize, edges: [1]}}}\n",
            "'prize' is not a feature. Did you mean price?",
        ),
        (
            "moving_average: {ranges: {price: {column: price, edges: [1]}}}\n",
            "'price' is a feature or a role: give the",
        ),
        ("moving_average: {ranges: {cheap: {column: price, edges: [2, 1]}}}\n", "edges must be ascending"),
        (
            "moving_average: {keys: [[user]], train_state: other_buckets}\n",
            "needs averages that do not forget: set key_decay: 1",
        ),
        (
            "moving_average: {key_decay: 1, train_state: other_buckets, eval_state: daily}\n",
            "needs eval_state: frozen, not daily",
        ),
        (
            "moving_average: {ranges: {cheap: {column: price, edges: [1, .inf]}}}\n",
            "input should be a finite number",
        ),
        (
            "  a: {type: string, treatment: vocabulary}\nmoving_average: {ranges: {x: {column: a, edges: [1]}}}\n",
            "a is not a single number",
        ),
        (
            "  a: {type: int, treatment: vocabulary}\n"
            "moving_average: {keys: [[a, domain], {columns: [scene, a], decay: 0.5}]}\n",
            "keys.1: [scene, a] is there already, with the decay 0.9, not 0.5: a key has one decay; remove one",
        ),
        (
            "behaviours:\n  w: {numerator: played, denominator: at}\n",
            "at is the timestamp: it cannot be averaged",
        ),
        ("moving_average: {history: true}\n", "history needs the role `user`"),
        ("moving_average: {decay: 1.0}\n", "moving_average.decay: input should be less than 1"),
        ("behaviours:\n  w: {numerator: a}\n", "give either `column`, or both `numerator` and `denominator`"),
        ("behaviours:\n  w: {column: a, clip: [2, 1]}\n", "clip must be [low, high]"),
        (
            "behaviours:\n  w: {column: a, clip: [0, .inf]}\n",
            "behaviours.w.clip.1: input should be a finite number, not inf",
        ),
        ("moving_average: {bucket_hours: .inf}\n", "bucket_hours: input should be a finite number, not inf"),
        ("moving_average: {prior_strength: .nan}\n", "input should be a finite number, not nan"),
        ("training: {learning_rate: .inf}\n", "learning_rate: input should be a finite number, not inf"),
        ("time_zone: Mars/Base\n", "'Mars/Base' is not an IANA time zone"),
        ("time_zone: localtime\n", "'localtime' is not an IANA time zone"),
        ("time_zone: posix/Asia/Shanghai\n", "'posix/Asia/Shanghai' is not an IANA time zone"),
        ("evaluation: {thresholds: {average_auc: {}}}\n", "give at least one of min, max, max_drop"),
        ("evaluation: {thresholds: {accuracy: {min: 1}}}\n", "input should be 'average_auc', 'overall_auc'"),
        ("max_rejected_share: 2\n", "max_rejected_share: input should be less than or equal to 1"),
        ("split: {eval_days: 0}\n", "split.eval_days: input should be greater than or equal to 1"),
        ("surprise: 1\n", "surprise: unknown setting"),
        ("split: {eval_day: 1}\n", "split.eval_day: unknown setting. Did you mean eval_days"),
        ("source: x\n", "source: unknown setting"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, addition: str, message: str) -> None:
    assert message in refusal(tmp_path, MINIMAL + addition)


def test_the_timestamp_is_no_label(tmp_path: Path) -> None:
    text = MINIMAL.replace("label: click", "label: at\npositive: {at_least: 3}")
    assert "label: at is the timestamp: it cannot be the label" in refusal(tmp_path, text)


def test_denominator_may_be_a_feature(tmp_path: Path) -> None:
    load(tmp_path, MINIMAL + "behaviours:\n  w: {numerator: played, denominator: price}\n")


def test_moving_average_keys_in_all_their_forms(tmp_path: Path) -> None:
    declaration = load(
        tmp_path,
        MINIMAL.replace("columns:", "user: uid\ncolumns:").replace("scene: int", "scene: int, uid: int")
        + "  tag: {type: string, treatment: vocabulary}\n"
        "moving_average: {keys: [tag, [user, domain], {columns: [uid]}, {columns: tag}]}\n",
    )
    assert [key.columns for key in declaration.moving_average.keys] == [
        ["tag"],
        ["user", "domain"],
        ["uid"],
        ["tag"],
    ]
    assert [declaration.resolve_role(name) for name in ("user", "domain", "tag")] == ["uid", "scene", "tag"]


def test_a_declaration_does_not_change() -> None:
    declaration = load_declaration("simulated")
    with pytest.raises(ValidationError):
        declaration.label = "long_view"


def test_loading_needs_neither_tensorflow_nor_beam() -> None:
    code = (
        "import sys; from components.dataset import load_declaration; import components.dataset.files; "
        "load_declaration('kuairand-pure'); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'apache_beam', 'tfx', 'tf_keras')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
