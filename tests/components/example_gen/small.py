"""A small data set for tests: its declaration, ways to run the ingestion on it, and to read what it wrote."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from components.dataset import Declaration, load_declaration
from components.example_gen.ingest import ingest

DECLARATION = """\
name: small
time_zone: Asia/Shanghai
impressions: {files: ["log*.csv", ]}
lookups:
  - {files: [users.csv], key: user}
  - {files: [items.csv], key: {item: id}, prefix: item_}
label: click
domain: scene
user: user
item: item
timestamp: {column: at, unit: ms}
behaviours:
  click: {column: click}
  watched: {numerator: played, denominator: length, clip: [0, 2]}
post_exposure: [played]
features:
  scene: {type: int, treatment: vocabulary}
  user: {type: int, treatment: vocabulary}
  item: {type: string, treatment: vocabulary}
  length: {type: float, treatment: log_normalise}
  tags: {type: string, treatment: vocabulary, separator: ";", max_length: 3}
  age: {type: int, treatment: buckets}
  item_colour: {type: string, treatment: vocabulary}
  item_codes: {type: int, treatment: vocabulary, separator: "|", max_length: 2}
split: {eval_days: 1, validation_days: 1}
max_rejected_share: 0.0
"""
LOG_HEADER = "at,scene,user,item,click,played,length,tags,note"
USERS = "user,age\n1,30\n2,\n3,41.0\n"
ITEMS = 'id,colour,codes\na,"red, dark",1|2\nb,,\n'
DAY_MS = 86_400_000
FIRST_DAY_MS = 1_650_816_000_000  # midnight of 25 April 2022 in Asia/Shanghai


def log_text(days: int = 4, rows: int = 12) -> str:
    """A log without flaws: `rows` a day, two scenes, both labels."""
    lines = [LOG_HEADER]
    for day in range(days):
        for row in range(rows):
            at = FIRST_DAY_MS + day * DAY_MS + row * 60_000
            lines.append(
                f"{at},{row % 2},{row % 4},{'abc'[row % 3]},{row % 5 % 2},{row},{row % 3},x;y,n{row}"
            )
    return "\n".join(lines) + "\n"


def declare(folder: Path, overrides: Sequence[str] = (), text: str = DECLARATION) -> Declaration:
    """Writes the declaration and loads it."""
    path = folder / "small.yaml"
    path.write_text(text)
    return load_declaration(str(path), overrides)


def write_data(folder: Path, logs: dict[str, str | bytes], users: str = USERS, items: str = ITEMS) -> Path:
    """Writes a data folder."""
    data = folder / "data_dir"
    data.mkdir(exist_ok=True)
    for name, content in {"users.csv": users, "items.csv": items, **logs}.items():
        (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return data


def loop_runner(seed: int = 0) -> Any:
    """A runner that does the elements one after the other, in a random order."""

    def run(elements: Sequence[Any], work: beam.DoFn) -> None:
        shuffled = list(elements)
        random.Random(seed).shuffle(shuffled)
        for element in shuffled:
            list(work.process(element))

    return run


def run_ingest(declaration: Declaration, data: Path, out: Path, **sizes: Any) -> dict[str, Any]:
    """Ingests with the loop runner and returns the report; examples lie in `out`/Split-*."""
    runner = sizes.pop("runner", None) or loop_runner()
    uris = {split: str(out / f"Split-{split}") for split in ("train", "eval")}
    return ingest(declaration, str(data), uris, str(out / "tmp"), runner, **sizes)


def read_columns(out: Path, split: str, names: Sequence[str], batches: int | None = None) -> pl.DataFrame:
    """Columns of a split's examples, as lists; much faster than `read_examples`.

    Args:
      batches: reads only so many times 8,192 rows of each file.
    """
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    frames = []
    for file in sorted(str(path) for path in (out / f"Split-{split}").glob("*")):
        records = tf.data.TFRecordDataset([file], compression_type="GZIP").batch(8192)
        for batch in records.take(-1 if batches is None else batches).as_numpy_iterator():
            table = pa.Table.from_batches([decoder.DecodeBatch(list(batch))])
            frames.append(pl.DataFrame(pl.from_arrow(table.select(list(names)))))
    return pl.concat(frames)


def read_examples(out: Path, split: str) -> list[dict[str, list[Any]]]:
    """The examples of a split, in the order of files and records."""
    files = sorted(str(path) for path in (out / f"Split-{split}").glob("*")) if out.exists() else []
    examples = []
    for file in files:
        for record in tf.data.TFRecordDataset([file], compression_type="GZIP").as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            examples.append(
                {
                    name: list(getattr(value, value.WhichOneof("kind")).value)
                    for name, value in features.items()
                    # The encoder names a missing feature, without a value: parsers take it for absent.
                    if value.WhichOneof("kind")
                }
            )
    return examples
