"""What is measured of examples, counted by hand."""

from __future__ import annotations

from pathlib import Path

from components.drift.measured import measure
from tests.components.example_gen.small import declare, log_text, run_ingest, write_data


def test_what_is_in_the_examples(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": log_text(days=4, rows=12)})
    run_ingest(declaration, data, tmp_path / "out")
    files = [str(path) for path in sorted((tmp_path / "out").rglob("*.gz"))]
    lines = [line.split(",") for line in log_text(days=4, rows=12).splitlines()]
    columns = {name: [line[n] for line in lines[1:]] for n, name in enumerate(lines[0])}
    found = measure(files, declaration, "2022-04-25", {"item": ["a"], "scene": ["0"]})
    assert (found.overall.rows, found.overall.clicks) == (48, columns["click"].count("1"))
    for scene in ("0", "1"):
        of_scene = [
            click for click, value in zip(columns["click"], columns["scene"], strict=True) if value == scene
        ]
        assert (found.domains[scene].rows, found.domains[scene].clicks) == (
            len(of_scene),
            of_scene.count("1"),
        )
    assert found.hours == [48] + [0] * 23
    assert found.clicks == [found.overall.clicks] + [0] * 23
    item, scene, length = (found.features[name] for name in ("item", "scene", "length"))
    assert (item.values, item.unseen) == (
        48 - item.missing,
        sum(value not in ("a", "") for value in columns["item"]),
    )
    assert scene.unseen == columns["scene"].count("1")
    numbers = [float(value) for value in columns["length"] if value]
    assert (length.low, length.high, length.unseen) == (min(numbers), max(numbers), None)
    assert found.features["tags"].unseen is None
    assert found.features["tags"].missing == sum(not value for value in columns["tags"])


def test_the_figures_do_not_depend_on_how_rows_are_spread_over_files(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    text = log_text(days=4, rows=12)
    header, *lines = text.splitlines()
    found = []
    for name, files in (
        ("one", {"log.csv": text}),
        ("two", {f"log-{n}.csv": "\n".join([header, *lines[n::2]]) + "\n" for n in range(2)}),
    ):
        (tmp_path / name).mkdir()
        data = write_data(tmp_path / name, files)
        run_ingest(declaration, data, tmp_path / name / "out")
        examples = [str(path) for path in sorted((tmp_path / name / "out").rglob("*.gz"))]
        found.append(measure(examples, declaration, "2022-04-25"))
    assert found[0] == found[1]
