"""Rows come back from the store as they were written, by any index."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.trainer.inputs import read_rows, split_validation
from components.trainer.row_store import RowStore, decode, decode_together, is_decoded
from components.trainer.training import _thinning
from models.features import CategoricalFeature, FeatureLayout

LAYOUT = FeatureLayout(
    categorical=(CategoricalFeature("user", 10), CategoricalFeature("tags", 8, width=2)),
    numeric=("age",),
    averages=("tab.click", "tab.count"),
    history=("click",),
    domains=("1", "0"),
    domain_rows=(3, 2),
)


def _write(path: Path, rows: int) -> list[dict[str, list[float]]]:
    generator = np.random.default_rng(3)
    written = []
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in range(rows):
            columns = {
                "categorical": generator.integers(0, 8, 3).tolist(),
                "domain": [row % 2],
                "day": [100 + row // 4],
                "numeric": [float(row)],
                "averages": [row / 2, row / 4],
                "history": [row / 8, row / 16],
                "label": [float(row % 3 == 0)],
            }
            written.append(columns)
            feature = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                if name in ("categorical", "domain", "day")
                else tf.train.Feature(float_list=tf.train.FloatList(value=values))
                for name, values in columns.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return written


def test_rows_are_gathered_by_any_index_in_any_shape(tmp_path: Path) -> None:
    written = _write(tmp_path / "a.gz", 11)
    store = decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows")
    assert len(store) == 11
    assert store.domain.tolist() == [row["domain"][0] for row in written]
    at = np.array([[7, 0], [10, 7]])
    rows = store.gather(at)
    assert rows["categorical"].shape == (2, 2, 3)
    assert rows["history"].shape == (2, 2, 2, 1)
    for position in np.ndindex(2, 2):
        expected = written[at[position]]
        assert rows["categorical"][position].tolist() == expected["categorical"]
        assert rows["numeric"][position].tolist() == expected["numeric"]
        assert rows["averages"][position].tolist() == expected["averages"]
        assert rows["history"][position].ravel().tolist() == expected["history"]


def test_views_address_their_own_rows(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 11)
    store = decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows")
    odd = store.where(store.domain == 1)
    late = odd.where(odd.day >= 101)
    assert late.gather(np.arange(len(late)))["numeric"].ravel().tolist() == [5.0, 7.0, 9.0]


def test_validation_is_the_last_day_of_the_training_rows(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 11)
    store = decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows")
    train, validation = split_validation(store, 1)
    assert (len(train), len(validation)) == (8, 3)
    assert set(validation.day) == {102}
    with pytest.raises(InputError, match="cover 3 day"):
        split_validation(store, 3)


def test_no_row_is_an_error_that_says_so(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 0)
    with pytest.raises(InputError, match="no training row"):
        decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows")


def test_one_of_every_so_many_rows_is_decoded(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 11)
    store = decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows", every=4)
    assert store.gather(np.arange(len(store)))["numeric"].ravel().tolist() == [0.0, 4.0, 8.0]


@pytest.mark.parametrize(("wanted", "every"), [(1000, 1), (50, 1), (10, 5), (1, 50)])
def test_long_evaluation_splits_are_thinned_out(wanted: int, every: int, tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"x" * 400)
    (tmp_path / "eval").write_bytes(b"x" * 100)
    files = SimpleNamespace(train_files=[str(tmp_path / "tr*")], eval_files=[str(tmp_path / "ev*")])
    # A quarter of the bytes of 400 training rows: about 100 rows, of which twice as many as wanted are kept.
    assert _thinning(files, 400, wanted) == every


def test_rows_that_come_decoded_are_read_where_they_lie(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 11)
    decoded = decode([str(tmp_path / "a.gz")], LAYOUT, tmp_path / "Split-train")
    assert is_decoded(tmp_path / "Split-train")
    assert not is_decoded(tmp_path)
    found = read_rows([str(tmp_path / "Split-train" / "*")], LAYOUT, tmp_path / "unused")
    assert not (tmp_path / "unused").exists()
    at = np.arange(11)
    for name, values in decoded.gather(at).items():
        np.testing.assert_array_equal(found.gather(at)[name], values)
    np.testing.assert_array_equal(found.day, decoded.day)
    again = read_rows([str(tmp_path / "*.gz")], LAYOUT, tmp_path / "here")
    np.testing.assert_array_equal(again.label, decoded.label)
    assert is_decoded(tmp_path / "here")


@pytest.mark.parametrize("files", [1, 5])
def test_processes_decode_disjoint_files_into_what_one_decodes(files: int, tmp_path: Path) -> None:
    for number in range(files):
        _write(tmp_path / f"{number}.gz", 11 + number)
    names = [str(tmp_path / f"{number}.gz") for number in range(files)]
    alone = decode(names, LAYOUT, tmp_path / "alone")
    waiting = threading.Barrier(2, timeout=60)
    decoded: list[int] = []
    (tmp_path / "together").mkdir()
    (tmp_path / "together" / "left-by-a-killed-process").touch()

    def work(worker: int) -> RowStore:
        return decode_together(
            names, LAYOUT, tmp_path / "together", worker, 2, lambda: waiting.wait() and None, decoded.append
        )

    with ThreadPoolExecutor(2) as processes:
        stores = list(processes.map(work, range(2)))
    for store in stores:
        assert len(store) == len(alone)
        for name, values in alone.gather(np.arange(len(alone))).items():
            np.testing.assert_array_equal(store.gather(np.arange(len(alone)))[name], values)
        np.testing.assert_array_equal(store.day, alone.day)
    # Each row was decoded once.
    assert max(decoded) <= len(alone)
    if files > 1:
        assert max(decoded) < 0.7 * len(alone)
    assert {path.name for path in (tmp_path / "together").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


def test_processes_that_find_no_row_all_say_so(tmp_path: Path) -> None:
    _write(tmp_path / "a.gz", 0)
    waiting = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor(2) as processes:
        told = [
            processes.submit(
                decode_together, [str(tmp_path / "a.gz")], LAYOUT, tmp_path / "rows", worker, 2, waiting.wait
            )
            for worker in range(2)
        ]
    for one in told:
        with pytest.raises(InputError, match="no training row"):
            one.result()


def test_rows_of_domains_that_the_layout_does_not_know_are_left_out(tmp_path: Path) -> None:
    written = _write(tmp_path / "rows.gz", 9)
    rows = decode([str(tmp_path / "rows.gz")], LAYOUT, tmp_path / "store")
    assert rows.of_known_domains() is rows
    fewer = dataclasses.replace(LAYOUT, domains=("1",), domain_rows=(3,), history=())
    known = RowStore(rows._columns, fewer).of_known_domains()
    assert known.gather(np.arange(len(known)))["numeric"][:, 0].tolist() == [
        row["numeric"][0] for row in written if row["domain"] == [0]
    ]
