"""What each level of moving averages is worth: `python -m benchmarks.ablation kuairand-pure --data DIR --work DIR`.

ExampleGen and Transform run once, with all keys and the history. Every variant then trains on that output with some
columns of it, for the declared number of epochs on all training days (the validation day included), with five seeds,
and is evaluated on the evaluation days. Printed: mean and standard deviation of the average and the overall AUC, the
difference to DFEI as declared with a paired t-test over seeds, and a paired bootstrap over users for the systems with
the same inputs. (Users too rare for the vocabulary share its few last ids and are drawn together.)

Transform's output and all scores are kept in the work folder, by the settings that they depend on: a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.ablation_rows import SelectedRows, key_names, prepare, selection
from components.comparison.evaluation_rows import evaluation_rows
from components.comparison.scores import Scored, user_weights
from components.comparison.significance import mean_average_auc, seed_test, user_test
from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.trainer.inputs import split_validation
from models import gbdt
from models.arrays import Array
from models.features import FeatureLayout
from models.prediction import Predictor
from models.registry import build_model
from models.rows import RowSource
from models.training import train
from pipeline import views
from pipeline.report.numbers import chance

LIGHTGBM = "lightgbm"
FULL = "DFEI as declared"
SAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
      title: what it is.
      keys: whose averages are inputs; `None`: all.
      history: whether the averages in every domain are inputs.
      model: settings of the model, on top of the declared ones.
      same_inputs: whether it is another system on what DFEI as declared reads.
    """

    title: str
    keys: tuple[str, ...] | None = None
    history: bool = True
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    same_inputs: bool = False


def variants(layout: FeatureLayout, declaration: Declaration) -> list[Variant]:
    """The rows of the table: levels of averages, forms of integration, other systems."""
    names = key_names(layout)
    plain = [name for name in names if "_x_" not in name]
    of_user = tuple(name for name in plain if name in ("domain", "user", declaration.user))
    of_domain = {"domain", declaration.domain}
    everywhere = [name for name in names if name in plain or not of_domain & set(name.split("_x_"))]
    in_every_domain = [
        Variant("+ every domain, by attention", model={"history": "attention"}),
        Variant("+ every domain, flat", model={"history": "flat"}),
    ]
    return [
        Variant("no averages", (), False),
        Variant("domain only", ("domain",), False),
        Variant("+ user", of_user, False),
        Variant("+ the other single keys", tuple(plain), False),
        *([Variant("+ crosses without the domain", tuple(everywhere), False)] if everywhere != plain else []),
        Variant("+ crosses with the domain", None, False),
        *(in_every_domain if layout.history else []),
        Variant(FULL),
        Variant("declared, no learned v_d", model={"averages": "transform"}),
        Variant("declared, no DFI", model={"domain_integration": False}),
        Variant(
            "declared, [s; u_d] only",
            model={"averages": "transform", "domain_integration": False, "history": "flat"},
        ),
        Variant("declared, no common base", model={"common_base": False}),
        Variant("MLP, same inputs", model={"name": "mlp"}, same_inputs=True),
        Variant("LightGBM, same inputs", model={"name": LIGHTGBM}, same_inputs=True),
    ]


def scores_of(
    variant: Variant, seed: int, declaration: Declaration, layout: FeatureLayout, rows: Sequence[RowSource]
) -> Array:
    """Trains once; logits or probabilities of the rows to evaluate.

    Args:
      variant: what is trained.
      seed: of the training.
      declaration: with the settings that it changes.
      layout: of the whole rows.
      rows: all training rows; those before the validation days; the validation days; those to evaluate.
    """
    keys = tuple(key_names(layout)) if variant.keys is None else variant.keys
    chosen, columns = selection(layout, keys, variant.history)
    whole, early, late, evaluated = (SelectedRows(part, columns, variant.history) for part in rows)
    settings = declaration.model.model_copy(update=variant.model)
    if settings.name == LIGHTGBM:
        refitted = declaration.training.model_copy(update={"refit": True})
        trees = gbdt.fit(early, late, chosen, settings, refitted, seed=seed, threads=1)
        return trees.predict(evaluated.gather(np.arange(len(evaluated.domain))), evaluated.domain)
    model = build_model(chosen, settings, seed=seed)
    train(model, whole, None, declaration.training, seed=seed)
    return Predictor(model).predict(evaluated)


def table(runs: dict[str, list[Scored]], found: list[Variant]) -> list[dict[str, Any]]:
    """The figures of every variant."""
    full = runs.get(FULL)
    lines = []
    for variant in found:
        mine = runs.get(variant.title)
        if not mine:
            continue
        average = np.array([run.average_auc() for run in mine], float)
        overall = np.array([run.overall_auc() for run in mine], float)
        line: dict[str, Any] = {
            "variant": variant.title,
            "seeds": len(mine),
            "average": average.mean(),
            "average_sd": average.std(ddof=1) if len(mine) > 1 else 0.0,
            "overall": overall.mean(),
            "overall_sd": overall.std(ddof=1) if len(mine) > 1 else 0.0,
        }
        if full and variant.title != FULL and len(full) == len(mine):
            for name in ("average", "overall"):
                test = seed_test(
                    *([float(getattr(r, f"{name}_auc")() or 0) for r in s] for s in (full, mine))
                )
                line[f"{name}_behind"], line[f"{name}_p"] = test.difference, test.p_value
            if variant.same_inputs:
                weights = user_weights(full[0].rows.user, SAMPLES, 1)
                line["users"] = dataclasses.asdict(user_test(full, mine, weights))
        lines.append(line)
    return lines


def show(lines: list[dict[str, Any]], title: str) -> None:
    """Prints the table."""
    printed = Table(title=title)
    for name in (
        "variant",
        "average",
        "overall",
        "declared ahead by",
        "p",
        "ahead overall",
        "p",
        "users: 95 %",
    ):
        printed.add_column(name)
    for line in lines:
        cells = [escape(line["variant"])]
        cells += [f"{line[name]:.4f} ± {line[name + '_sd']:.4f}" for name in ("average", "overall")]
        for name in ("average", "overall"):
            behind, p = line.get(f"{name}_behind"), line.get(f"{name}_p")
            cells += ["" if behind is None else f"{behind:+.4f}", "" if p is None else chance(p)]
        users = line.get("users")
        cells.append(f"{users['low']:+.4f} to {users['high']:+.4f}" if users else "")
        printed.add_row(*cells)
    Console(width=150).print(printed)


def measure(
    declaration: Declaration, arguments: argparse.Namespace, scratch: Path
) -> tuple[list[Variant], dict[str, list[Scored]]]:
    """Trains every variant with every seed, unless its scores are kept already."""
    transform = arguments.work / f"transform-{_digest(views.for_transform(declaration))}"
    layout, train_rows, eval_rows = prepare(declaration, arguments.data, transform, scratch)
    scores = arguments.work / f"scores-{_digest(declaration.to_json())}"
    scores.mkdir(exist_ok=True)
    rows = [train_rows, *split_validation(train_rows, declaration.split.validation_days), eval_rows]
    evaluated = evaluation_rows(eval_rows, layout, declaration.evaluation.min_rows)
    found = variants(layout, declaration)
    if arguments.only:
        found = [v for v in found if any(word in v.title for word in arguments.only)]
    runs: dict[str, list[Scored]] = {}
    # What the others are compared with comes first, should the run be stopped.
    for variant in sorted(found, key=lambda v: (v.title != FULL, not v.same_inputs)):
        for seed in range(1, arguments.seeds + 1):
            kept = scores / f"{variant.title.replace(' ', '_')}-{seed}.npy"
            if not kept.exists():
                np.save(kept, scores_of(variant, seed, declaration, layout, rows))
            run = Scored(evaluated, np.load(kept))
            runs.setdefault(variant.title, []).append(run)
            print(
                f"{variant.title}, seed {seed}: {mean_average_auc([run]):.4f} {run.overall_auc():.4f}",
                flush=True,
            )
    return found, runs


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def main() -> None:
    """Trains, prints, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="Name or file of a declaration.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="Where everything is kept.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="Variants whose titles have one of these words.")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="As for dfei run.")
    parser.add_argument("--json", type=Path, help="Write the table there.")
    arguments = parser.parse_args()
    declaration = load_declaration(arguments.dataset, arguments.settings)
    arguments.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.work) as scratch:
        found, runs = measure(declaration, arguments, Path(scratch))
    lines = table(runs, found)
    show(lines, f"{declaration.name}, {arguments.seeds} seeds")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
