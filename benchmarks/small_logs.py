"""Small first logs: DFEI, MLP, LightGBM on the same inputs, and the base rate: `python -m benchmarks.small_logs`.

Each log is drawn from a world whose click probabilities are known: eight uneven domains over fourteen days, users of
an age and a device, items of a category and a price; the probability depends on the domain, the user, the item, and on
what an age thinks of a category. Inputs are those attributes, the ids, and averages of clicks as of the day before,
as Transform makes them. Systems are trained with the settings that `dfei dataset new` proposes, on the days before the
last two.

Judged on many rows of the last two days, against the true probabilities: the expected log loss less that of the best
possible prediction (in thousandths), and the expected overall AUC. So what differs between logs is what was learned
from them, not luck of the evaluation. Intervals are 95 % of Student's t over logs, paired between systems. The last
column says how many of the networks a log's own last two days would have pushed, and how many of these are in truth
worse than the base rate.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.table import Table
from scipy import stats

from components.dataset.sections import Evaluation
from models.click_rate import shrunk_rates
from models.features import CategoricalFeature, FeatureLayout
from models.metrics import RankedScores, auc, log_losses, normalized_entropy, rarer_of
from models.rows import ArrayRows
from models.settings import ModelSettings, TrainingSettings
from pipeline.datasets.proposal.yaml_text import TRAINING, model_settings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DOMAINS, DAYS, EVAL_DAYS, VALIDATION_DAYS = 8, 14, 2, 1
AGES, DEVICES, CATEGORIES = 5, 3, 12
# (user, item and so on) whose past clicks are averaged, as of the day before.
KEYS = (("domain",), ("user",), ("item",), ("age", "category"), ("category", "domain"))
JUDGED_ROWS = 20_000
PRIOR = 20.0
SYSTEMS = ("base rate", "lightgbm", "mlp", "dfei")


@dataclasses.dataclass(frozen=True)
class Log:
    """A drawn log: rows to learn from, rows to validate with, rows to judge and their true probabilities.

    Behind the rows to judge are those of the log's own last days, which a run's gates look at.
    """

    layout: FeatureLayout
    train: ArrayRows
    validation: ArrayRows
    judged: ArrayRows
    probability: Floats


def draw(rows: int, rate: float, seed: int) -> Log:
    """A log of so many rows (evaluation days included) with about this click rate."""
    rng = np.random.default_rng([seed, rows, round(rate * 1000)])
    users, items = max(40, rows // 15), max(30, rows // 40)
    age, device = rng.integers(0, AGES, users), rng.integers(0, DEVICES, users)
    category, price = rng.integers(0, CATEGORIES, items), rng.normal(0, 1, items)
    taste, quality = rng.normal(0, 0.5, users), rng.normal(0, 0.5, items)
    opinion = rng.normal(0, 0.6, (AGES, CATEGORIES))
    place, device_place = rng.normal(0, 0.6, DOMAINS), rng.normal(0, 0.3, (DEVICES, DOMAINS))
    category_place = rng.normal(0, 0.3, (CATEGORIES, DOMAINS))
    share = 0.7 ** np.arange(DOMAINS)
    late = np.arange(DAYS) >= DAYS - EVAL_DAYS
    count = rows + JUDGED_ROWS
    day = np.concatenate([rng.integers(0, DAYS, rows), rng.integers(DAYS - EVAL_DAYS, DAYS, JUDGED_ROWS)])
    user, item = rng.zipf(1.3, count) % users, rng.zipf(1.3, count) % items
    domain = rng.choice(DOMAINS, count, p=share / share.sum())
    kind, years = category[item], age[user]
    score = taste[user] + quality[item] + opinion[years, kind] + place[domain]
    score += device_place[device[user], domain] + category_place[kind, domain] - 0.3 * price[item]
    probability = 1 / (1 + np.exp(-(score + _intercept(score, rate))))
    label = (rng.random(count) < probability).astype(np.float64)
    values = {"domain": domain, "user": user, "item": item, "age": years, "category": kind}
    seen = np.arange(count) < rows
    averages = [_as_of(_codes([values[name] for name in key]), day, label, seen) for key in KEYS]
    known = np.unique(user[seen & ~late[day]]), np.unique(item[seen & ~late[day]])
    columns = [domain + 1, years + 1, device[user] + 1, kind + 1]
    columns += [
        np.where(np.isin(ids, ones), ids + 1, 0) for ids, ones in zip((user, item), known, strict=True)
    ]
    tensors: dict[str, npt.NDArray[Any]] = {
        "categorical": np.stack(columns, 1).astype(np.int64),
        "numeric": price[item][:, None].astype(np.float32),
        "averages": np.concatenate(averages, 1).astype(np.float32),
    }
    learned = seen & (day < DAYS - EVAL_DAYS - VALIDATION_DAYS)
    asked = np.concatenate([np.flatnonzero(~seen), np.flatnonzero(seen & late[day])])
    parts = (learned, seen & ~late[day] & ~learned, asked)
    sets = [
        ArrayRows({k: v[part] for k, v in tensors.items()}, domain[part].astype(np.int32), label[part])
        for part in parts
    ]
    sizes = (("domain", DOMAINS), ("age", AGES), ("device", DEVICES), ("category", CATEGORIES))
    layout = FeatureLayout(
        categorical=(
            *(CategoricalFeature(name, size + 1) for name, size in sizes),
            CategoricalFeature("user", users + 1),
            CategoricalFeature("item", items + 1),
        ),
        numeric=("price",),
        averages=tuple(f"{what} of {' and '.join(key)}" for key in KEYS for what in ("rate", "count")),
        domains=tuple(str(i) for i in range(DOMAINS)),
        domain_rows=tuple(np.bincount(domain[learned], minlength=DOMAINS).tolist()),
        user="user",
        item="item",
    )
    return Log(layout, sets[0], sets[1], sets[2], probability[~seen])


def _intercept(score: Floats, rate: float) -> float:
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-(score + middle)))).mean() < rate else (low, middle)
    return low


def _codes(columns: list[Ints]) -> Ints:
    return np.unique(np.stack(columns, 1), axis=0, return_inverse=True)[1].reshape(-1)


def _as_of(code: Ints, day: Ints, label: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    """Log-odds of a smoothed click rate over those of all, and log rows: of the days before, frozen at the end."""
    found = np.zeros((len(code), 2))
    most = int(code.max()) + 1
    for today in range(DAYS):
        rows = day == today
        past = seen & (day < min(today, DAYS - EVAL_DAYS))
        if not past.any():
            continue
        clicks, shown = np.bincount(code[past], label[past], most), np.bincount(code[past], minlength=most)
        overall = (label[past].sum() + 0.5) / (past.sum() + 1)
        rate = (clicks + PRIOR * overall) / (shown + PRIOR)
        odds = np.log(rate / (1 - rate)) - np.log(overall / (1 - overall))
        found[rows] = np.stack([odds, np.log1p(shown)], 1)[code[rows]]
    return found


def predict(system: str, log: Log, model: dict[str, Any], training: dict[str, Any], seed: int) -> Floats:
    """Click probabilities of the judged rows, by a system trained on the others."""
    domain = np.asarray(log.judged.domain)
    if system == "base rate":
        both = np.concatenate([log.train.domain, log.validation.domain])
        clicks = np.bincount(both, np.concatenate([log.train.label, log.validation.label]), DOMAINS)
        return shrunk_rates(np.bincount(both, minlength=DOMAINS), clicks)[domain]
    chosen = TrainingSettings(**training)
    if system == "lightgbm":
        from models.gbdt import fit

        trees = fit(
            log.train,
            log.validation,
            log.layout,
            ModelSettings(name="lightgbm"),
            chosen,
            seed=seed,
            threads=1,
        )
        return trees.predict(log.judged.rows, domain)
    from models.prediction import Predictor
    from models.registry import build_model
    from models.training import train

    built = build_model(log.layout, ModelSettings(**{**model, "name": system}), seed=seed)
    train(built, log.train, log.validation, chosen, seed=seed)
    return 1 / (1 + np.exp(-Predictor(built).predict(log.judged).astype(np.float64)))


def judge(log: Log, probability: Floats) -> dict[str, float]:
    """Expected log loss above that of the true probabilities, in thousandths, and expected overall AUC."""
    true, found = log.probability, np.clip(probability[: len(log.probability)], 1e-7, 1 - 1e-7)
    excess = true * np.log(true / found) + (1 - true) * np.log((1 - true) / (1 - found))
    label = np.repeat([1, 0], len(true))
    ranked = RankedScores(label, np.tile(found, 2)).auc(np.concatenate([true, 1 - true]))
    assert ranked is not None
    return {"excess": 1000 * float(excess.mean()), "auc": ranked, "mean": float(found.mean() / true.mean())}


def pushed(log: Log, probability: Floats) -> bool:
    """Whether the log's own last days would have the gates that `dfei dataset new` proposes push these predictions."""
    own = len(log.probability)
    label, found = np.asarray(log.judged.label)[own:], np.clip(probability[own:], 1e-7, 1 - 1e-7)
    ranked = auc(label, found)
    if rarer_of(label) < Evaluation().min_rarer or ranked is None:
        return False
    entropy = normalized_entropy(float(log_losses(label, found).mean()), len(label), int(label.sum()))
    calibration = found.sum() / label.sum()
    return bool(ranked >= 0.55 and entropy is not None and entropy <= 1 and 0.5 <= calibration <= 2)


def measure(
    rows: int,
    rate: float,
    logs: int,
    systems: tuple[str, ...] = SYSTEMS,
    model: dict[str, Any] | None = None,
    training: dict[str, Any] = TRAINING,
    heard: Callable[[str], None] = lambda _: None,
) -> dict[str, list[dict[str, float]]]:
    """Every system on several logs of a kind."""
    found: dict[str, list[dict[str, float]]] = {system: [] for system in systems}
    for seed in range(1, logs + 1):
        log = draw(rows, rate, seed)
        proposed = model_settings(len(log.train.label) / DOMAINS)
        for system in systems:
            begun = time.process_time()
            probability = predict(system, log, model or proposed, training, seed)
            result = judge(log, probability) | {"pushed": pushed(log, probability)}
            found[system].append({**result, "cpu_seconds": time.process_time() - begun})
            heard(f"{rows:,} rows at {rate:.1%}, log {seed} of {logs}: {system} {result['excess']:.2f}")
    return found


def interval(differences: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval."""
    if len(differences) < 2:
        return statistics.mean(differences), float("nan")
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return statistics.mean(differences), float(stats.t.ppf(0.975, len(differences) - 1)) * error


def main(
    rows: Annotated[list[int], typer.Option(help="Sizes of logs.")] = [500, 2_000, 10_000, 50_000],  # noqa: B006
    rates: Annotated[list[float], typer.Option(help="Click rates.")] = [0.005, 0.05, 0.5],  # noqa: B006
    logs: Annotated[int, typer.Option(help="Logs of each kind.")] = 4,
    json_file: Annotated[Path | None, typer.Option("--json", help="Writes all figures there.")] = None,
) -> None:
    """Measures the grid and prints a table."""
    table = Table(
        title="log loss above the best possible, in thousandths (mean ± 95 % over logs); overall AUC"
    )
    for column in ("rows", "clicks", *SYSTEMS, "mlp to lightgbm", "dfei to lightgbm", "pushed, worse"):
        table.add_column(column, justify="right")
    document = []
    for size in rows:
        for rate in rates:
            found = measure(size, rate, logs, heard=lambda text: print(text, flush=True))
            document.append({"rows": size, "click_rate": rate, "systems": found})
            excess = {name: [run["excess"] for run in runs] for name, runs in found.items()}
            cells = [
                f"{statistics.mean(excess[name]):.2f} {statistics.mean(r['auc'] for r in found[name]):.3f}"
                for name in SYSTEMS
            ]
            for name in ("mlp", "dfei"):
                middle, half = interval(
                    [a - b for a, b in zip(excess[name], excess["lightgbm"], strict=True)]
                )
                cells.append(f"{middle:+.2f} ± {half:.2f}")
            runs = [
                run for name in ("mlp", "dfei") for run in zip(found[name], found["base rate"], strict=True)
            ]
            worse = sum(own["pushed"] and own["excess"] > base["excess"] for own, base in runs)
            cells.append(f"{sum(own['pushed'] for own, _ in runs)}, {worse} of {len(runs)}")
            table.add_row(f"{size:,}", f"{rate:.1%}", *cells)
    Console(width=150).print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    typer.run(main)
