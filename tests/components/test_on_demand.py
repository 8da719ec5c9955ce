"""Modules that wait until something of theirs is asked for, each test in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": f"{HOUSE}:{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package `slow` that says when it is executed, with a module `part`."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text("print('executed')\nfrom slow.part import answer\n")
    (tmp_path / "slow" / "part.py").write_text("answer = 42\n")
    return tmp_path


UNUSED = (
    "kubernetes",
    "google.cloud.bigquery",
    "pymongo",
    "IPython.terminal",
    "ipywidgets",
    "sklearn",
    "redis",
    "lxml",
    "h5py._hl",
    "apache_beam.runners.dataflow.internal.clients.dataflow.dataflow_v1b3_messages",
)
START = "from components.on_demand import executed, import_on_demand; import_on_demand(['slow']); "


def test_a_module_of_the_package_does_not_execute_it(package: Path) -> None:
    code = START + "{}; print(answer, executed('slow'))"
    for use in ("from slow.part import answer", "from slow import part; answer = part.answer"):
        assert run(code.format(use), package).split() == ["42", "False"]


@pytest.mark.parametrize("use", ["import slow; print(slow.answer)", "from slow import answer; print(answer)"])
def test_a_name_of_the_package_executes_it_once(package: Path, use: str) -> None:
    assert run(f"{START}{use}; {use}; print(executed('slow'))", package).split() == [
        "executed",
        "42",
        "42",
        "True",
    ]


def test_a_name_that_does_not_exist_is_an_error(package: Path) -> None:
    code = START + "import slow; print(hasattr(slow, 'question'), executed('slow'))"
    assert run(code, package).split() == ["executed", "False", "True"]


def test_nothing_is_imported_before_somebody_asks(package: Path) -> None:
    code = START + "import sys; print('slow' in sys.modules, executed('slow'))"
    assert run(code, package).split() == ["False", "False"]


def test_a_module_that_is_not_installed_is_missing_as_usual(package: Path) -> None:
    code = (
        "from components.on_demand import import_on_demand; import_on_demand(['nowhere', 'slow.nothing'])\n"
    )
    for name in ("nowhere", "slow.nothing"):
        code += f"try:\n import {name}\nexcept ModuleNotFoundError as error:\n print(error.name)\n"
    assert run(code, package).split() == ["nowhere", "executed", "slow.nothing"]


def test_a_package_whose_parts_import_it_is_executed_once(package: Path) -> None:
    (package / "slow" / "__init__.py").write_text(
        "print('executed')\nfirst = 1\nfrom slow.part import answer\n"
    )
    (package / "slow" / "part.py").write_text("from slow import first\nanswer = first + 41\n")
    assert run(START + "from slow import answer; print(answer)", package).split() == ["executed", "42"]


def test_threads_wait_for_the_one_that_executes(package: Path) -> None:
    (package / "slow" / "__init__.py").write_text(
        "import time\nprint('executed')\ntime.sleep(0.3)\nanswer = 42\n"
    )
    code = START + (
        "import slow; from concurrent.futures import ThreadPoolExecutor\n"
        "print(*ThreadPoolExecutor(4).map(lambda _: slow.answer, range(4)))"
    )
    assert run(code, package).split() == ["executed", *["42"] * 4]


def test_what_fails_to_execute_fails_again(package: Path) -> None:
    (package / "slow" / "__init__.py").write_text("print('executed')\n1 / 0\n")
    code = START + "import slow\n"
    code += "try:\n slow.answer\nexcept ZeroDivisionError:\n print('failed', executed('slow'))\n" * 2
    assert run(code, package).split() == ["executed", "failed", "False"] * 2


def test_where_nobody_needs_ipython_there_is_no_shell_of_it(tmp_path: Path) -> None:
    code = "from components.on_demand import executed; import IPython; from IPython import get_ipython;"
    asked = "print(get_ipython(), executed('IPython'), bool(IPython.version_info), IPython.get_ipython is get_ipython)"
    assert run(code + asked, HOUSE).split() == ["None", "False", "True", "False"]


def test_a_run_starts_without_what_it_does_not_use() -> None:
    code = (
        "import sys, pipeline.execute; from components.on_demand import MODULES, executed;"
        "print(*[name for name in MODULES if name in sys.modules and executed(name)],"
        " *[name for name in UNUSED if name in sys.modules],"
        # LightGBM sets how its threads wait before OpenMP is loaded (`models.gbdt`).
        " *[line for line in open('/proc/self/maps') if 'libgomp' in line])"
    )
    assert run(f"UNUSED = {UNUSED}; {code}", HOUSE).split() == []


def test_names_that_waited_are_what_they_were() -> None:
    code = (
        "import components; from tensorflow_model_analysis.metrics import bleu; import h5py\n"
        # Beam 2.77 has these messages no more.
        "try:\n from apache_beam.runners.dataflow.internal.clients.dataflow import Job\n"
        "except ModuleNotFoundError as error:\n Job = type('Job', (), {}); assert 'internal.clients' in error.name\n"
        "said = bleu.sacrebleu.BLEUScore; print(bleu.sacrebleu.BLEU.__name__, bleu.sacrebleu.BLEUScore is said,"
        " h5py.File.__name__, Job.__name__)\n"
        "import components, tensorflow as tf; from components.on_demand import executed, tensorflow_api\n"
        "waiting = sum(not executed(name) for name in tensorflow_api())\n"
        "print(waiting > 200, tf.image.resize.__name__, tf.compat.v1.placeholder.__name__,"
        " tf.lite.Interpreter.__name__, tf.__internal__.dispatch.add_dispatch_support.__name__)\n"
        "from apache_beam.io.gcp import gcsio; from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem\n"
        "said = gcsio.MAX_BATCH_OPERATION_SIZE; print(executed(gcsio.__name__), gcsio.GcsIO.__name__,"
        " executed(gcsio.__name__), gcsio.MAX_BATCH_OPERATION_SIZE == said == GCSFileSystem.CHUNK_SIZE)"
    )
    others, first, second = run(code, HOUSE).splitlines()
    assert others.split() == ["BLEU", "False", "File", "Job"]
    assert first.split() == ["True", "resize_images_v2", "placeholder", "Interpreter", "add_dispatch_support"]
    assert second.split() == ["False", "GcsIO", "True", "True"]


def test_writing_a_file_in_beam_loads_no_client_of_a_queue(tmp_path: Path) -> None:
    code = (
        "import components, sys, apache_beam as beam\n"
        "with beam.Pipeline() as p: p | beam.Create(['a']) | beam.io.WriteToText('written')\n"
        "print('google.pubsub_v1' in sys.modules)"
    )
    assert run(code, tmp_path).split() == ["False"]
    assert [path.read_text() for path in tmp_path.glob("written*")] == ["a\n"]
