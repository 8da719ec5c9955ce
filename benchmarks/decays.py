"""Is `moving_average.decay: auto` worth anything? One-step-ahead errors of the domains' averages in a finished run.

    python -m benchmarks.decays ROOT [--decay 0.9]

Every domain's mean of every bucket is got back from the averages that Transform keeps (of the decay that they were
made with), then foretold by the averages of each candidate decay, and by those of the decay that is chosen from the
buckets before. Errors are squares, each bucket weighing by its rows. Shown is the geometric mean over domains and
behaviours of each one's error as a multiple of that of .9, with 95 % over resampled domains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from components.transform.decay_choice import CANDIDATES, DecayState
from components.transform.domain_curves import DomainCurves, read_domain_curves
from models.arrays import Array

SAMPLES = 2000
FEWEST_BUCKETS = 4


def bucket_means(curves: DomainCurves, decay: float) -> Array:
    """The mean of every bucket, float64 (T, D, F); NaN where a domain has no rows."""
    after = curves.averages.astype(np.float64).transpose(1, 0, 2)
    rows = curves.rows.T[:, :, None]
    before = np.concatenate([np.full_like(after[:1], np.nan), after[:-1]])
    told = np.where(np.isnan(before), after, (after - decay * before) / (1 - decay))
    return np.where(rows > 0, told, np.nan)


def errors(means: Array, rows: Array) -> tuple[Array, Array]:
    """Sums of squared errors of every candidate, then of the chosen one, (G + 1, D, F), and their buckets (D, F)."""
    _, domains, behaviours = means.shape
    state = DecayState.empty(domains, behaviours)
    chosen = np.zeros((domains, behaviours))
    for mean, count in zip(means, rows.T, strict=True):
        here = ~np.isnan(mean) & ~np.isnan(state.averages[:, 0])
        wrong = np.square(np.nan_to_num(state.current()) - np.nan_to_num(mean)) * count[:, None]
        chosen += np.where(here, wrong, 0.0)
        state = state.moved(np.nan_to_num(mean), np.where(np.isnan(mean), 0.0, count[:, None]))
    return np.concatenate([state.errors.transpose(1, 0, 2), chosen[None]]), state.buckets


def main() -> None:
    """Prints one line per decay."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--decay", type=float, default=0.9, help="that the run's averages were made with")
    arguments = parser.parse_args()
    [*_, graph] = sorted(
        (arguments.root / "artifacts/Transform/transform_graph").iterdir(), key=lambda p: p.name
    )
    curves = read_domain_curves(graph)
    found, buckets = errors(bucket_means(curves, arguments.decay), curves.rows)
    kept = (buckets >= FEWEST_BUCKETS) & (found > 0).all(axis=0)
    usual = found[CANDIDATES.index(0.9)]
    log = np.log(np.where(kept, found, 1.0) / np.where(kept, usual, 1.0))
    domains = kept.any(axis=1)
    by_domain = log[:, domains].sum(axis=2) / kept[domains].sum(axis=1)
    drawn = np.random.default_rng(0).integers(0, domains.sum(), (SAMPLES, domains.sum()))
    print(f"{domains.sum()} domains, {len(curves.buckets)} buckets, {len(curves.behaviours)} behaviours")
    for name, values in zip([*map(str, CANDIDATES), "auto"], by_domain, strict=True):
        low, high = np.exp(np.percentile(values[drawn].mean(axis=1), [2.5, 97.5]))
        print(f"{name:>5}: {np.exp(values.mean()):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
