"""Parquet files that would run code, lie or are broken: refused by name, by every command that reads them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from components.dataset import parquet
from components.errors import InputError
from tests.e2e.conftest import HOUSE, Finished, dfei
from tests.hostile.conftest import refused

DECLARATION = """
name: armed
impressions: {files: [log.parquet]}
columns: {tab: int, user: int}
lookups: [{files: [users.parquet], key: user}]
domain: tab
user: user
item: item
label: click
timestamp: {column: time, unit: s}
features:
  item: {treatment: vocabulary, type: int}
"""


class _Touch:
    """Unpickles into an empty file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


class _Pickled(pa.ExtensionType):
    """The type that pyarrow has for pickled types, with the pickle of our choice."""

    def __init__(self, storage: pa.DataType, pickled: bytes) -> None:
        self.pickled = pickled
        super().__init__(storage, "arrow.py_extension_type")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.pickled

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> _Pickled:
        return cls(storage, serialized)


def armed(path: Path, pickled: bytes, nested: bool = False) -> None:
    """A log with a further column of that type, or one that has it inside."""
    columns: dict[str, Any] = {name: pa.array([1, 2, 1, 2]) for name in ("user", "item", "tab")}
    columns["click"] = pa.array([0, 1, 0, 1])
    columns["time"] = pa.array([1_700_000_000 + 86_400 * day for day in range(4)])
    extension = pa.ExtensionArray.from_storage(_Pickled(pa.int64(), pickled), pa.array([1, 2, 3, 4]))
    columns["more"] = pa.StructArray.from_arrays([extension], ["inner"]) if nested else extension
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def weapon(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with an armed log, lookup and their declaration, and the file that appears when one goes off."""
    fired = tmp_path / "fired"
    for name in ("log.parquet", "users.parquet"):
        armed(tmp_path / "data" / name, pickle.dumps(_Touch(fired)))
    (tmp_path / "data" / "d.yaml").write_text(DECLARATION)
    (tmp_path / "data" / "rows.csv").write_text("user,item\n1,2\n")
    return tmp_path / "data", fired


@pytest.mark.skipif(
    tuple(map(int, pa.__version__.split(".")[:3])) >= (14, 0, 1), reason="this pyarrow does not unpickle"
)
def test_the_weapon_goes_off_where_nothing_guards(weapon: tuple[Path, Path]) -> None:
    folder, fired = weapon
    code = f"import pyarrow.parquet; pyarrow.parquet.read_schema({str(folder / 'log.parquet')!r})"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert fired.exists()


Command = Callable[[Path, Path, Path], Finished]
COMMANDS: dict[str, tuple[str, Command]] = {
    "predict": (
        "log.parquet",
        lambda data, model, out: dfei("predict", data / "log.parquet", "--model-dir", model),
    ),
    "predict --lookup": (
        "users.parquet",
        lambda data, model, out: dfei(
            "predict",
            data / "rows.csv",
            "--lookup",
            f"{data / 'users.parquet'}=user",
            "--model-dir",
            model,
        ),
    ),
    "dataset check": (
        "log.parquet",
        lambda data, model, out: dfei("dataset", "check", data / "d.yaml", "--data", data),
    ),
    "dataset new": (
        "log.parquet",
        lambda data, model, out: dfei(
            "dataset", "new", data / "log.parquet", "--yes", "-o", out / "new.yaml"
        ),
    ),
    "run": (
        "log.parquet",
        lambda data, model, out: dfei("run", "--dataset", data / "d.yaml", "--data", data, "--root", out),
    ),
    "compare": (
        "log.parquet",
        lambda data, model, out: dfei("compare", "--dataset", data / "d.yaml", "--data", data, "--root", out),
    ),
    "backtest": (
        "log.parquet",
        lambda data, model, out: dfei(
            "backtest", "--dataset", data / "d.yaml", "--data", data, "--root", out
        ),
    ),
}


SLOW = {"compare", "backtest"}


@pytest.mark.parametrize(
    "command",
    # These two read as `run` does.
    [*sorted(COMMANDS.keys() - SLOW), *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(SLOW))],
)
def test_a_pickled_type_is_refused_by_every_command(
    command: str, weapon: tuple[Path, Path], pushed: Path, tmp_path: Path
) -> None:
    data, fired = weapon
    named, run = COMMANDS[command]
    done = run(data, pushed, tmp_path / "out")
    assert not fired.exists()
    refused(done, named, "pickled Python object")


@pytest.mark.parametrize("pickled", [b"", b"no pickle", b"\x80\x04K", pickle.dumps([1] * 1000)])
@pytest.mark.parametrize("nested", [False, True])
def test_whatever_the_pickle_is(tmp_path: Path, pickled: bytes, nested: bool) -> None:
    path = tmp_path / "a.parquet"
    armed(path, pickled, nested)
    for read in (
        parquet.read_schema,
        parquet.read_metadata,
        parquet.read_table,
        lambda path: list(parquet.record_batches(path, 10)),
    ):
        with pytest.raises(InputError, match=r"a\.parquet: .*pickled Python object"):
            read(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "whole.parquet"
    columns = {"a": list(range(300)), "b": ["x", None, "long" * 50] * 100, "c": [[1.0], [], None] * 100}
    pq.write_table(pa.table(columns), path, row_group_size=100)
    return path.read_bytes()


@given(data=st.data())
def test_damaged_files_are_read_or_refused_and_nothing_else(
    data: st.DataObject, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Metadata are at the end; a wrong byte there is more likely to be read.
    at = data.draw(st.one_of(st.integers(0, len(whole) - 1), st.integers(len(whole) - 1200, len(whole) - 1)))
    cut = data.draw(st.booleans())
    spoilt = (
        whole[:at] if cut else whole[:at] + data.draw(st.binary(min_size=1, max_size=4)) + whole[at + 1 :]
    )
    path = tmp_path_factory.getbasetemp() / "spoilt.parquet"
    path.write_bytes(spoilt)
    try:
        for _ in parquet.record_batches(path, 50):
            pass
    except InputError as error:
        assert str(path) in str(error)


def test_nothing_else_opens_parquet(tmp_path: Path) -> None:
    """The linter's rule is there, and knows the ways around it."""
    ways = {
        "import pyarrow.parquet as pq\n": 1,
        "from pyarrow import parquet\n": 1,
        "import pyarrow as pa\n\npa.parquet.read_table('x')\n": 1,
        "from pyarrow.parquet import read_table\n": 1,
        "import polars as pl\n\npl.read_parquet('x')\npl.scan_parquet('x')\n": 2,
        "import pandas as pd\n\npd.read_parquet('x')\npd.read_pickle('x')\n": 2,
        "from pyarrow import feather, ipc\n": 2,
        "from components.dataset.parquet import read_schema\n": 0,
    }
    for number, (code, found) in enumerate(ways.items()):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                "check",
                "--select",
                "TID251",
                "--output-format",
                "concise",
                "--stdin-filename",
                f"pipeline/way_{number}.py",
                "-",
            ],
            input=code,
            cwd=HOUSE,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.count("TID251") == found, (code, done.stdout, done.stderr)
