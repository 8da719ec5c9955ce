"""The champion validates best among the models that passed; the evaluation days have no say."""

from __future__ import annotations

import json
from pathlib import Path

from tfx import types
from tfx.types import standard_artifacts

from components.champion.strategy import BLESSING, MODEL, MODEL_RUN, ChampionStrategy


class Comparison:
    """Trainings on disk, as a comparison leaves them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.artifacts: dict[str, list[types.Artifact]] = {MODEL: [], BLESSING: [], MODEL_RUN: []}

    def add(
        self,
        name: str,
        seed: int,
        validation: float | None,
        blessed: bool = True,
        counts: bool = True,
        seconds: float = 10.0,
    ) -> None:
        number = len(self.artifacts[MODEL]) + 1
        node = self._root / f"Trainer.{name}.{seed}"
        run = node / "model_run" / str(number)
        run.mkdir(parents=True)
        average = validation if counts else None
        facts = {"compared": name, "seed": seed, "validation": validation, "validation_average_auc": average}
        facts["seconds"] = seconds
        (run / "training.json").write_text(json.dumps(facts))
        model, blessing, model_run = (
            standard_artifacts.Model(),
            standard_artifacts.ModelBlessing(),
            standard_artifacts.ModelRun(),
        )
        model.uri, model_run.uri = str(node / "model" / str(number)), str(run)
        model.id = number
        blessing.set_int_custom_property("blessed", int(blessed))
        blessing.set_int_custom_property("current_model_id", number)
        self.artifacts[MODEL].append(model)
        self.artifacts[BLESSING].insert(0, blessing)
        self.artifacts[MODEL_RUN].insert(0, model_run)

    def champion(self) -> str | None:
        found = ChampionStrategy().resolve_artifacts(None, self.artifacts)
        if not found[MODEL]:
            assert found == {MODEL: [], BLESSING: [], MODEL_RUN: []}
            return None
        [model], [blessing], [run] = found[MODEL], found[BLESSING], found[MODEL_RUN]
        assert blessing.get_int_custom_property("current_model_id") == model.id
        assert Path(run.uri).name == Path(model.uri).name
        return Path(model.uri).parent.parent.name


def test_the_model_with_the_best_mean_and_its_best_seed(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)
    comparison.add("dfei", 1, 0.70)
    comparison.add("dfei", 2, 0.71)
    comparison.add("star", 1, 0.74)
    comparison.add("star", 2, 0.60)
    assert comparison.champion() == "Trainer.dfei.2"


def test_a_cheaper_model_that_the_seeds_do_not_tell_apart_is_taken(tmp_path: Path) -> None:
    for number, (seconds, second_seed, expected) in enumerate(
        [(4.0, 0.705, "mlp"), (6.0, 0.705, "dfei"), (4.0, 0.69, "dfei")]
    ):
        comparison = Comparison(tmp_path / str(number))
        comparison.add("dfei", 1, 0.72)
        comparison.add("dfei", 2, 0.70)
        comparison.add("mlp", 1, 0.71, seconds=seconds)
        comparison.add("mlp", 2, second_seed, seconds=seconds)
        assert comparison.champion() == f"Trainer.{expected}.1"


def test_what_did_not_pass_does_not_count(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)
    comparison.add("dfei", 1, 0.70)
    comparison.add("star", 1, 0.90, blessed=False)
    comparison.add("mlp", 1, None)
    assert comparison.champion() == "Trainer.dfei.1"


def test_without_a_domain_that_counts_what_stopped_training_judges_networks_and_trees_alike(
    tmp_path: Path,
) -> None:
    comparison = Comparison(tmp_path)
    comparison.add("lightgbm", 1, 0.70, counts=False)
    comparison.add("dfei", 1, 0.72, counts=False)
    comparison.add("mlp", 1, 0.71, counts=False)
    assert comparison.champion() == "Trainer.dfei.1"


def test_without_a_model_that_passed_there_is_none(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)
    assert comparison.champion() is None
    comparison.add("dfei", 1, 0.70, blessed=False)
    assert comparison.champion() is None
