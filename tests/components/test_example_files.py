"""Examples and their columns: read the same, whichever there is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import tensorflow as tf

from components.example_files import ExampleWriter, columns_path, read_batches

ROWS = {
    "age": pa.array([[1.5], None, [2.5]], pa.large_list(pa.float32())),
    "tags": pa.array([[b"a", b"b"], [b"c"], None], pa.large_list(pa.large_binary())),
    "user": pa.array([[7], [8], [-9]], pa.large_list(pa.int64())),
}


def write(folder: Path) -> str:
    path = str(folder / "Split-train" / "data_tfrecord-00000.gz")
    writer = ExampleWriter(path)
    batch = pa.RecordBatch.from_arrays(list(ROWS.values()), names=list(ROWS))
    writer.write(batch)
    writer.write(batch.slice(1, 1))
    writer.close()
    return path


def read(path: str, names: list[str] | None = None) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for batch in read_batches(path, names):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found.setdefault(name, []).extend(column.to_pylist())
    return found


def test_columns_and_examples_are_read_alike(tmp_path: Path) -> None:
    path = write(tmp_path)
    expected = {name: [*rows.to_pylist(), rows[1].as_py()] for name, rows in ROWS.items()}
    assert read(path) == expected
    assert read(path, ["user", "nobody"]) == {"user": expected["user"]}
    Path(columns_path(path)).unlink()
    assert read(path) == expected
    assert read(path, ["user", "nobody"]) == {"user": expected["user"]}


def test_columns_of_one_value_a_row_are_read_as_lists(tmp_path: Path) -> None:
    path = str(tmp_path / "Split-eval" / "data_tfrecord-00001.gz")
    writer = ExampleWriter(path)
    age, user = pa.array([1.5, None, 2.5], pa.float32()), pa.array([7, 8, -9], pa.int64())
    writer.write(pa.RecordBatch.from_arrays([age, user], names=["age", "user"]).slice(1))
    writer.close()
    expected = {"age": [None, [2.5]], "user": [[8], [-9]]}
    assert read(path) == expected
    Path(columns_path(path)).unlink()
    assert read(path) == expected


def test_the_folder_of_a_split_has_examples_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert [str(file) for file in (tmp_path / "Split-train").iterdir()] == [path]
    records = list(tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator())
    assert len(records) == 4
    assert tf.train.Example.FromString(records[2]).features.feature["user"].int64_list.value == [-9]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first"), write(tmp_path / "second")
    for one, other in ((first, second), (columns_path(first), columns_path(second))):
        assert Path(one).read_bytes() == Path(other).read_bytes()
