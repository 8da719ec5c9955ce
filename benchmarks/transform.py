"""What the moving averages cost in Transform, beside the same computation in polars.

    python -m benchmarks.transform --json transform.json

On KuaiRand's part, each measured in a fresh process, in turn, several times (medians): the Transform component with
the domain's averages alone, with eight more keys, and with the averages in every domain on top; and polars making the
same averages of the eight keys (decayed sums per bucket, as-of join, shrinkage with a fixed strength) in memory from
the joined table. The numbers of both are compared. Rows per second are all rows, training and evaluation, over wall
seconds; CPU seconds are disturbed less by other load.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.local_run import kuairand_dir
from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration

KEYS = (
    ("user_id",),
    ("video_id",),
    ("author_id",),
    ("tag",),
    ("user_id", "tab"),
    ("video_id", "tab"),
    ("author_id", "tab"),
    ("tag", "user_id"),
)
STRENGTH = 20.0
_FIXED = (
    f"moving_average.prior_strength={STRENGTH}",
    "moving_average.key_decay=null",
    "moving_average.history=false",
    "moving_average.history_behaviours=null",
)
_EIGHT = f"moving_average.keys={json.dumps(KEYS)}"
VARIANTS: dict[str, tuple[str, ...]] = {
    "domain": (*_FIXED, "moving_average.keys=[]"),
    "domain + 8 keys": (*_FIXED, _EIGHT),
    "domain + 8 keys + history": (*_FIXED, _EIGHT, "moving_average.history=[user, item]"),
}


def write_examples(folder: Path, declaration: Declaration) -> None:
    """Runs ExampleGen into `folder`/examples and `folder`/schema."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from components.dataset.schema import schema_text
    from components.example_gen.executor import Executor

    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--direct_running_mode=in_memory"], tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        {}, {"examples": [examples]}, {"declaration": declaration.to_json(), "data_dir": str(kuairand_dir())}
    )
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(schema_text(declaration))


def run_transform(folder: Path, settings: tuple[str, ...]) -> dict[str, float]:
    """Runs the Transform component over the examples. Returns what `_used` measures, after the imports."""
    import apache_beam  # noqa: F401
    import tensorflow_transform  # noqa: F401
    from google.protobuf import json_format
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.proto import transform_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import json_utils

    from components.transform.executor import StatefulExecutor

    declaration = load_declaration("kuairand-pure", settings)
    examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
    graph, transformed = standard_artifacts.TransformGraph(), standard_artifacts.Examples()
    examples.split_names = '["train", "eval"]'
    for artifact, name in (
        (examples, "examples"),
        (schema, "schema"),
        (graph, "graph"),
        (transformed, "rows"),
    ):
        artifact.uri = str(folder / name)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--direct_running_mode=in_memory"], tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    splits = transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"])
    return _used(
        lambda: StatefulExecutor(context).Do(
            {"examples": [examples], "schema": [schema]},
            {"transform_graph": [graph], "transformed_examples": [transformed]},
            {
                "splits_config": json_format.MessageToJson(splits),
                "custom_config": json_utils.dumps({"declaration": declaration.to_json()}),
            },
        )
    )


def _used(action: Callable[[], Any]) -> dict[str, float]:
    """Wall and CPU seconds of an action and the process's peak memory in MB."""
    wall, cpu = time.monotonic(), time.process_time()
    action()
    return {
        "wall_seconds": time.monotonic() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def joined_log(declaration: Declaration) -> pl.DataFrame:
    """Impressions with the keys' columns, the local day, the split and the behaviours."""
    data = kuairand_dir() / "data"
    videos = pl.read_csv(data / "video_features_basic_pure.csv", infer_schema_length=None)
    log = pl.concat([pl.read_csv(path) for path in sorted(data.glob("log_standard_*_pure.csv"))])
    log = log.unique(maintain_order=True)  # rows are told apart by number, in several processes
    log = log.join(videos.select("video_id", "author_id", "tag"), on="video_id", how="left")
    local = pl.from_epoch("time_ms", time_unit="ms").dt.replace_time_zone("UTC")
    day = local.dt.convert_time_zone(declaration.time_zone).dt.date().to_physical().cast(pl.Int64)
    log = log.with_columns(day=day, tag=pl.col("tag").cast(pl.String).str.split(","))
    columns = {}
    for name, behaviour in declaration.behaviours.items():
        if behaviour.column is not None:
            columns[f"behaviour.{name}"] = pl.col(behaviour.column).cast(pl.Float64)
        else:
            ratio = pl.col(str(behaviour.numerator)) / pl.col(str(behaviour.denominator))
            ratio = pl.when(pl.col(str(behaviour.denominator)) > 0).then(ratio)
            columns[f"behaviour.{name}"] = ratio.clip(*behaviour.clip) if behaviour.clip else ratio
    last = log["day"].unique().sort()[-declaration.split.eval_days]
    return log.with_columns(**columns, train=pl.col("day") < last).with_row_index("row")


def polars_averages(log: pl.DataFrame, declaration: Declaration) -> pl.DataFrame:
    """The domain's and the eight keys' averages of every row, by joins."""
    decay = declaration.moving_average.decay
    assert isinstance(decay, float)
    names = list(declaration.behaviour_columns())
    train = log.filter("train")
    result = log.select("row", *_domain(log, train, names, decay))
    for key in KEYS:
        parent = _parent(key)
        columns = ["tag"] if "tag" in key else []
        mine = log.explode(columns) if columns else log
        sums = train.explode(columns) if columns else train
        sums = sums.drop_nulls(list(key)).group_by(*key, "day").agg(pl.col(names).sum(), weight=pl.len())
        sums = sums.sort(*key, "day").with_columns(place=pl.int_range(pl.len()).over(*key))
        growth = pl.lit(decay).pow(pl.col("place"))
        sums = sums.with_columns(
            ((pl.col(name) / growth).cum_sum().over(*key) * growth).alias(f"sum.{name}")
            for name in [*names, "weight"]
        )
        states = sums.select(*key, (pl.col("day") + 1).alias("day"), pl.col("^sum\\..*$")).sort("day")
        found = mine.select("row", *key, "day").sort("day").join_asof(states, on="day", by=list(key))
        found = found.group_by("row").agg(pl.col("^sum\\..*$").sum())
        result = result.join(found, on="row", how="left").with_columns(pl.col("^sum\\..*$").fill_null(0.0))
        result = result.with_columns(
            (
                (pl.col(f"sum.{name}") + STRENGTH * pl.col(f"{parent}:{name}"))
                / (pl.col("sum.weight") + STRENGTH)
            ).alias(f"{'_x_'.join(key)}:{name}")
            for name in names
        )
        result = result.with_columns(pl.col("sum.weight").log1p().alias(f"{'_x_'.join(key)}:count"))
        result = result.select(pl.exclude("^sum\\..*$"))
    return result


def _parent(key: tuple[str, ...]) -> str:
    return "domain" if len(key) == 1 else (key[1] if key[0] == "tag" else key[0])


def _domain(log: pl.DataFrame, train: pl.DataFrame, names: list[str], decay: float) -> list[pl.Series]:
    """The domain's moving averages: buckets are few, so this is a loop over days."""
    means = train.group_by("tab", "day").agg(pl.col(names).mean(), rows=pl.len()).sort("day")
    state: dict[int, dict[str, float]] = {}
    rows: dict[int, int] = {}
    frames = []
    for day in [*sorted(log["day"].unique())]:
        total = sum(rows.values()) or 1
        overall = {name: sum(rows[t] * state[t][name] for t in state) / total for name in names}
        tabs = log.filter(pl.col("day") == day)["tab"].unique().to_list()
        frames += [{"tab": tab, "day": day, **state.get(tab, overall)} for tab in tabs]
        for mean in means.filter(pl.col("day") == day).iter_rows(named=True):
            tab = mean["tab"]
            old = state.get(tab)
            state[tab] = {
                n: mean[n] if old is None else decay * old[n] + (1 - decay) * mean[n] for n in names
            }
            rows[tab] = rows.get(tab, 0) + mean["rows"]
    joined = log.select("tab", "day").join(pl.DataFrame(frames), on=["tab", "day"], how="left")
    return [joined[name].alias(f"domain:{name}") for name in names]


def run_polars(folder: Path) -> dict[str, float]:
    """Measures polars; the table is read before, as Transform's examples are."""
    declaration = load_declaration("kuairand-pure")
    log = joined_log(declaration)
    return _used(lambda: polars_averages(log, declaration).write_parquet(folder / "polars.parquet"))


def largest_difference(folder: Path) -> float:
    """Largest difference between the counts and the sorted click rates of the users of both."""
    import tensorflow as tf

    from components.transform.row_layout import read_layout, read_summary

    declaration = load_declaration("kuairand-pure", VARIANTS["domain + 8 keys"])
    names = read_layout(folder / "graph", declaration).averages
    scales = read_summary(folder / "graph")["average_scales"]["count"]
    files = sorted(str(path) for path in (folder / "rows" / "Split-eval").glob("*.gz"))
    spec = {"averages": tf.io.FixedLenFeature([len(names)], tf.float32)}
    rows = tf.data.TFRecordDataset(files, "GZIP").batch(4096).map(lambda r: tf.io.parse_example(r, spec))
    averages = tf.concat([row["averages"] for row in rows], axis=0).numpy()
    log = joined_log(declaration).filter(~pl.col("train"))
    theirs = pl.read_parquet(folder / "polars.parquet").join(log.select("row"), on="row", how="semi")
    worst = 0.0
    for index, key in enumerate(KEYS):
        name = "_x_".join(key)
        ours = sorted((averages[:, names.index(f"{name}.count")] * scales[index]).tolist())
        other = theirs[f"{name}:count"].sort().to_list()
        worst = max(worst, *(abs(a - b) for a, b in zip(ours, other, strict=True)))
    return worst


def _child(send: Any, function: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> None:
    send.send(function(*arguments))


def in_fresh_process(function: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """What the function returns in a process of its own.

    Raises:
      RuntimeError: the process failed.
    """
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(send, function, arguments))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__} failed; its output says why") from None
    finally:
        process.join()


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="Write the table there.")
    arguments = parser.parse_args()
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in (*VARIANTS, "polars, 8 keys")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_examples(folder, load_declaration("kuairand-pure"))
        rows = json.loads((folder / "examples" / "ingest_report.json").read_text())
        for repetition in range(arguments.repetitions):
            measured["polars, 8 keys"].append(in_fresh_process(run_polars, folder))
            for variant, settings in VARIANTS.items():
                out = folder / f"{repetition}-{variant}"
                out.mkdir()
                for shared in ("examples", "schema"):
                    (out / shared).symlink_to(folder / shared)
                measured[variant].append(in_fresh_process(run_transform, out, settings))
        last = folder / f"{arguments.repetitions - 1}-domain + 8 keys"
        (last / "polars.parquet").symlink_to(folder / "polars.parquet")
        difference = largest_difference(last)
    total = rows["train"] + rows["eval"]
    table = []
    for variant, runs in measured.items():
        line: dict[str, Any] = {"what": variant}
        for figure in runs[0]:
            line[figure] = round(statistics.median(run[figure] for run in runs), 1)
        line["rows_per_second"] = round(total / line["wall_seconds"])
        table.append(line)
        print("  ".join(f"{key}={value}" for key, value in line.items()))
    seconds = {line["what"]: line["cpu_seconds"] for line in table}
    ratio = seconds["domain + 8 keys"] / seconds["domain"]
    print(
        f"eight keys: {ratio:.2f} times the CPU seconds; counts differ from polars by at most {difference:.1e}"
    )
    if arguments.json is not None:
        document = {"rows": total, "table": table, "ratio": ratio, "largest_difference": difference}
        arguments.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
