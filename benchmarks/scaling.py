"""What a million impressions cost, component by component: the pipeline on two sizes of the simulated feed.

    python -m benchmarks.scaling --rows 50000 200000 --json scaling.json

The cost of a component is `fixed + marginal * rows`; two sizes give both, in CPU seconds of all its processes, which
other load on the machine disturbs less than wall seconds. Memory is the most that the process held while the component
ran, at the larger size; each size has a process of its own. One epoch is trained: the Trainer's marginal cost is that
of one epoch, reading and export. docs/scaling.md extrapolates from the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tfx.orchestration import metadata

from components.dataset.files import data_fingerprint
from pipeline.beam_runner import beam_args
from pipeline.create import PipelineSettings, create_pipeline
from pipeline.layout import RunLayout
from pipeline.local import LocalRunner
from pipeline.request import declared
from pipeline.simulate import simulate

SETTINGS = (
    "training.epochs=1",
    "evaluation.min_rows=50",
    "evaluation.thresholds.average_auc.min=0",
    "evaluation.thresholds.overall_auc.min=0",
)
LEFT_OUT = ("ImportSchemaGen", "baseline", "AtomicPusher")


def measure(data: Path, root: Path, workers: int = 1) -> dict[str, dict[str, float]]:
    """CPU and wall seconds, and bytes written, by component, of a simulated feed with so many worker processes."""
    declaration = declared("simulated", SETTINGS, None)
    layout = RunLayout(root)
    layout.root.mkdir(parents=True)
    pipeline = create_pipeline(
        PipelineSettings(
            declaration=declaration,
            data_dir=str(data),
            data_fingerprint=data_fingerprint(declaration, str(data)),
            schema_file=str(declaration.schema_path()),
            pipeline_root=str(layout.artifacts),
            serving_dir=str(layout.serving / "dfei"),
            work_dir=str(layout.work),
            beam_args=beam_args("direct", [f"workers={workers}"]),
            metadata=metadata.sqlite_metadata_connection_config(str(layout.metadata)),
        )
    )
    runner = LocalRunner()
    runner.run(pipeline)
    return {
        name: {
            "cpu": node.cpu_seconds,
            "wall": node.seconds,
            "bytes": _size(layout.artifacts / name),
            "peak": node.peak_memory_mb,
        }
        for name, node in runner.runs.items()
        if name not in LEFT_OUT
    }


def _size(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def table(small: int, large: int, of_small: dict[str, Any], of_large: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per component: the fixed CPU seconds, and CPU seconds and megabytes per million rows."""
    lines = []
    for name, big in of_large.items():
        marginal = (big["cpu"] - of_small[name]["cpu"]) / (large - small)
        lines.append(
            {
                "component": name,
                "fixed_cpu_seconds": round(big["cpu"] - marginal * large, 1),
                "cpu_seconds_per_million_rows": round(marginal * 1e6, 1),
                "megabytes_per_million_rows": round(
                    (big["bytes"] - of_small[name]["bytes"]) / (large - small), 1
                ),
                "wall_seconds": round(big["wall"], 1),
                "peak_memory_mb": round(big["peak"]),
                "peak_memory_mb_at_the_smaller_size": round(of_small[name]["peak"]),
            }
        )
    return lines


def main() -> None:
    """Runs both sizes and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs=2, default=(50_000, 200_000), metavar=("SMALL", "LARGE"))
    parser.add_argument("--domains", type=int, default=21)
    parser.add_argument("--json", type=Path, help="Write the table there.")
    arguments = parser.parse_args()
    small, large = sorted(arguments.rows)
    results = []
    for rows in (small, large):
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
        ):
            data = Path(folder) / "data"
            simulate(data, domains=arguments.domains, rows=rows, seed=1)
            results.append(process.submit(measure, data, Path(folder) / "run").result())
    lines = table(small, large, *results)
    for line in lines:
        print("  ".join(f"{key}={value}" for key, value in line.items()))
    if arguments.json is not None:
        machine = {"cores": os.cpu_count(), "python": platform.python_version()}
        document = {"rows": [small, large], "domains": arguments.domains, "machine": machine, "table": lines}
        arguments.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
