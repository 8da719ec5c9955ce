"""What a training leaves in the work folder, and what it clears away there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.trainer.training import work_dir


def _training(transform: str, seed: int = 1, variant: str | None = None) -> Any:
    """The arguments of a Trainer on the rows of a Transform."""
    return SimpleNamespace(
        custom_config={"declaration": f"seed {seed}", "code": "a", "compared": variant},
        transform_graph_path=transform,
        hyperparameters=None,
    )


def _killed(base: Path, training: Any) -> Path:
    """The folder of a training that was killed."""
    try:
        with work_dir(str(base), training) as work:
            (work / "rows").mkdir()
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return work


def test_a_killed_training_finds_its_folder_again_and_the_finished_one_removes_it(tmp_path: Path) -> None:
    killed = _killed(tmp_path, _training("transform/1"))
    assert (killed / "rows").is_dir()
    with work_dir(str(tmp_path), _training("transform/1")) as work:
        assert work == killed
    assert list(tmp_path.iterdir()) == []


def test_a_finished_training_removes_what_killed_ones_left_of_other_rows(tmp_path: Path) -> None:
    _killed(tmp_path, _training("transform/1"))
    (tmp_path / "trainer-0123456789abcdef").mkdir()  # of an earlier version
    (tmp_path / "tuner-1.log").touch()
    with work_dir(str(tmp_path), _training("transform/2")):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["tuner-1.log"]


def test_trainings_on_the_same_rows_leave_each_other_alone(tmp_path: Path) -> None:
    killed = _killed(tmp_path, _training("transform/1", seed=1))
    with work_dir(str(tmp_path), _training("transform/1", seed=2)) as at_work:
        with work_dir(str(tmp_path), _training("transform/1", seed=3)):
            pass
        assert at_work.is_dir()
    assert list(tmp_path.iterdir()) == [killed]


def test_variants_that_come_to_the_same_settings_have_folders_of_their_own(tmp_path: Path) -> None:
    with work_dir(str(tmp_path), _training("transform/1", variant="dfei")) as at_work:
        with work_dir(str(tmp_path), _training("transform/1", variant="dfei-without-1-over-d")) as other:
            assert other != at_work
        assert at_work.is_dir()


def test_a_worker_that_is_not_the_chief_and_a_killed_training_remove_nothing(tmp_path: Path) -> None:
    killed = _killed(tmp_path, _training("transform/1"))
    with work_dir(str(tmp_path), _training("transform/2"), remove=False) as work:
        pass
    _killed(tmp_path, _training("transform/3"))
    assert killed.is_dir()
    assert work.is_dir()
