"""What a run pays before its first row: another commit and this tree, side by side in one run.

    python -m benchmarks.fixed_cost --commit 9c69a2d --json fixed_cost.json

Both run the pipeline on the same 12,000 rows of the simulated feed, in turn and in fresh processes, the other commit in
a checkout of its own. Printed: CPU seconds of all processes by component, of what comes before and after the components
(imports, the report), and of the whole; what an import of `pipeline.execute` takes; and the exported graph: its nodes,
functions and objects, what it takes to load it and how much memory that needs. Medians, and this tree's over the
other's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
SETTINGS = ("evaluation.min_rows=50",)
# What asks in a process of its own, with nothing but TensorFlow. The peak before and after: what is resident after a
# load says little of what the load needed.
_LOAD = """
import json, sys, time
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024
path = sys.argv[1]
with open(path + "/saved_model.pb", "rb") as file:
    graph = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0]
functions = graph.graph_def.library.function
before, begun = resident(), time.process_time()
model = tf.saved_model.load(path)
print(json.dumps({
    "export: nodes": len(graph.graph_def.node) + sum(len(function.node_def) for function in functions),
    "export: functions": len(functions),
    "export: objects": len(graph.object_graph_def.nodes),
    "export: load, CPU s": time.process_time() - begun,
    "export: load, MB": resident() - before,
}))
"""
_IMPORT = """
import json, resource
import pipeline.execute
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"import, CPU s": used.ru_utime + used.ru_stime, "import, MB": used.ru_maxrss // 1024}))
"""

Figures = dict[str, float]


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The commit in a folder of its own, while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(HOUSE), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _python(tree: Path, *arguments: str) -> tuple[str, float]:
    """What a fresh Python printed that runs in a tree, and its CPU seconds with those of its processes."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments[:6])} failed in {tree}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, used


def _asked(tree: Path, code: str, *arguments: str) -> Figures:
    printed, _ = _python(tree, "-c", code, *arguments)
    figures: Figures = json.loads(printed.splitlines()[-1])
    return figures


def measure(tree: Path, data: Path, root: Path) -> Figures:
    """The figures of one run of the pipeline in a tree, by name."""
    command = ["-m", "pipeline", "run", "--dataset", "simulated", "--data", str(data), "--root", str(root)]
    for setting in SETTINGS:
        command += ["--set", setting]
    _, total = _python(tree, *command)
    summary = json.loads((root / "run.json").read_text())
    components: Figures = summary["cpu_seconds"]
    model = next((root / "serving").glob("*/*/saved_model.pb")).parent
    return {
        **{f"{name}, CPU s": seconds for name, seconds in components.items()},
        "before and after the components, CPU s": total - sum(components.values()),
        "whole run, CPU s": total,
        "peak, MB": max(summary["peak_memory_mb"].values()),
        **_asked(tree, _IMPORT),
        **_asked(HOUSE, _LOAD, str(model)),
    }


def compare(other: list[Figures], here: list[Figures]) -> list[dict[str, float | str]]:
    """Medians by figure, and this tree's over the other's."""
    lines: list[dict[str, float | str]] = []
    for name in here[0]:
        before, after = (statistics.median(run.get(name, 0.0) for run in runs) for runs in (other, here))
        lines.append(
            {"figure": name, "before": before, "after": after, "ratio": after / before if before else 0.0}
        )
    return lines


def main() -> None:
    """Runs both trees in turn and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--commit", default="9c69a2d", help="What this tree is compared with.")
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="Write the table there.")
    arguments = parser.parse_args()
    runs: dict[str, list[Figures]] = {"before": [], "after": []}
    with checkout(arguments.commit) as tree, tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        simulated = ["simulate", str(data), "--domains", "6", "--rows", str(arguments.rows), "--seed", "3"]
        _python(tree, "-m", "pipeline", *simulated)
        for repetition in range(arguments.repetitions):
            for name, where in (("before", tree), ("after", HOUSE)):
                runs[name].append(measure(where, data, Path(folder) / f"{name}-{repetition}"))
    lines = compare(runs["before"], runs["after"])
    for line in lines:
        print(
            f"{line['figure']:<42} {line['before']:>9.1f} {line['after']:>9.1f}   x {line['ratio']:.2f}",
            flush=True,
        )
    if arguments.json is not None:
        document = {"commit": arguments.commit, "repetitions": arguments.repetitions, "table": lines}
        arguments.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
