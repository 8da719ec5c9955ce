"""Which Python and which stack a machine gets: programs that stand in for it on PATH, and nothing else there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "environment.sh"
OLD, NEW = "glibc 2.36", "glibc 2.41"
CURRENT, BEFORE = "requirements-current.txt", "requirements.txt"


class Machine:
    """A machine: `PATH` holds the usual small programs, and what a test adds."""

    def __init__(self, folder: Path, libc: str, system: str = "Linux x86_64") -> None:
        self.folder = folder
        self.environment = {"PATH": f"{folder / 'first'}:{folder / 'bin'}", "HOME": str(folder / "home")}
        for name in ("sh", "sed", "head", "cut", "rm", "mkdir", "dirname", "cat", "chmod"):
            found = shutil.which(name)
            assert found is not None
            self._file(f"bin/{name}").symlink_to(found)
        self.program("bin/getconf", f"echo {libc}" if libc else "exit 1")
        kernel, architecture = system.split()
        self.program("bin/uname", f"test $1 = -s && echo {kernel} || echo {architecture}")

    def _file(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def program(self, name: str, body: str) -> Path:
        """A shell program."""
        path = self._file(name)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str, venv: bool = True) -> Path:
        """An interpreter: says its version, has the module venv or not, and makes environments of its own kind."""
        has_venv = "exit 0" if venv else "exit 1"
        return self.program(
            name,
            f'case "$*" in *version_info*) echo {version} ;; "-c import venv"*) {has_venv} ;;\n'
            '"-m venv "*) mkdir -p "$3/bin"; cat "$0" >"$3/bin/python"; chmod 755 "$3/bin/python" ;;\n'
            f'"-m pip install"*) echo "echo uv 0.13.9" >"$(dirname "$0")/uv"; chmod 755 "$(dirname "$0")/uv" ;;\nesac',
        )

    def shim(self, name: str) -> None:
        """What pyenv puts on PATH for a version that is installed and not chosen."""
        self.program(name, f'echo "pyenv: {Path(name).name}: command not found" >&2; exit 127')

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def choice(self, **variables: str) -> tuple[str, str, str]:
        """Version, path and lock."""
        done = self.run("choose", str(self.folder / "env"), **variables)
        assert done.returncode == 0, done.stderr
        version, path, lock = done.stdout.split()
        return version, str(Path(path).relative_to(self.folder)), lock

    def refusal(self, *arguments: str, **variables: str) -> str:
        """The one line of an error."""
        done = self.run(*(arguments or ("choose", str(self.folder / "env"))), **variables)
        assert done.returncode == 2, (done.stdout, done.stderr)
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line


@pytest.mark.parametrize(
    ("libc", "installed", "expected"),
    [
        (NEW, ("3.11", "3.12", "3.13"), ("3.13", CURRENT)),
        (NEW, ("3.11", "3.12"), ("3.12", CURRENT)),
        (NEW, ("3.12", "3.14"), ("3.12", CURRENT)),
        (NEW, ("3.11",), ("3.11", BEFORE)),
        (OLD, ("3.11", "3.12", "3.13"), ("3.11", BEFORE)),
        ("glibc 2.39", ("3.13",), ("3.13", CURRENT)),
        ("glibc 2.38", ("3.13", "3.11"), ("3.11", BEFORE)),
    ],
)
def test_the_c_library_and_the_installed_pythons_decide(
    tmp_path: Path, libc: str, installed: tuple[str, ...], expected: tuple[str, str]
) -> None:
    machine = Machine(tmp_path, libc)
    for version in installed:
        machine.python(f"bin/python{version}", version)
    version, path, lock = machine.choice()
    assert (version, lock) == expected
    assert path == f"bin/python{version}"


@pytest.mark.parametrize("name", ["python3", "python"])
def test_a_python_without_its_version_in_the_name_is_found(tmp_path: Path, name: str) -> None:
    machine = Machine(tmp_path, NEW)
    machine.python(f"bin/{name}", "3.12")
    assert machine.choice() == ("3.12", f"bin/{name}", CURRENT)


def test_a_name_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.shim("first/python3.13")
    machine.shim("first/python3")
    machine.python("bin/python3.12", "3.12")
    assert machine.choice() == ("3.12", "bin/python3.12", CURRENT)
    machine.python("bin/python3.13", "3.13")
    assert machine.choice() == ("3.13", "bin/python3.13", CURRENT)


def test_what_pyenv_has_and_did_not_choose_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path, OLD)
    machine.shim("first/python3.11")
    machine.python("home/.pyenv/versions/3.11.9/bin/python3.11", "3.11")
    assert machine.choice()[1] == "home/.pyenv/versions/3.11.9/bin/python3.11"
    machine.python("other/versions/3.11.2/bin/python3.11", "3.11")
    assert machine.choice(PYENV_ROOT=str(tmp_path / "other"))[1] == "other/versions/3.11.2/bin/python3.11"


def test_a_name_that_says_another_version_is_not_believed(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.python("first/python3.13", "3.14")
    machine.python("bin/python3.12", "3.12")
    assert machine.choice()[0] == "3.12"


def add_uv(machine: Machine, brings: str) -> None:
    """A uv that brings one version of Python."""
    path = machine.python(f"uv/python{brings}", brings)
    machine.program(
        "bin/uv",
        f'case "$1 $2" in "--version "*) echo uv 0.13.9 ;;\n'
        f'"python find") case "$*" in *" {brings}") echo {path} ;; *) exit 2 ;; esac ;;\n'
        '"venv --quiet") mkdir -p "$5/bin"; cat "$4" >"$5/bin/python"; chmod 755 "$5/bin/python" ;;\nesac',
    )


@pytest.mark.parametrize(
    ("libc", "installed", "brings", "expected"),
    [
        (NEW, (), "3.13", "3.13"),
        (NEW, ("3.11", "3.14"), "3.13", "3.13"),
        (NEW, ("3.12",), "3.13", "3.12"),
        (NEW, ("3.11",), "3.10", "3.11"),
        (OLD, ("3.12", "3.13"), "3.11", "3.11"),
    ],
)
def test_uv_brings_what_is_not_there(
    tmp_path: Path, libc: str, installed: tuple[str, ...], brings: str, expected: str
) -> None:
    machine = Machine(tmp_path, libc)
    add_uv(machine, brings)
    for version in installed:
        machine.python(f"bin/python{version}", version)
    assert machine.choice()[0] == expected


def test_a_uv_that_brings_nothing_is_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    add_uv(machine, "3.10")
    assert "or see why uv, which is here, does not bring it (uv python install 3.13)" in machine.refusal()


def test_a_uv_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.shim("first/uv")
    assert "no Python 3.13" in machine.refusal()


@pytest.mark.parametrize(
    ("libc", "installed", "words"),
    [
        (
            NEW,
            "3.14",
            ("no Python 3.13 (python3 is 3.14)", "Python 3.13, 3.12 or 3.11", "install python3.13, or uv"),
        ),
        (OLD, "3.12", ("no Python 3.11 (python3 is 3.12)", "glibc 2.36", "PYTHON=/path/to/python3.11")),
        (OLD, "", ("no Python 3.11, and with",)),
    ],
)
def test_without_a_python_one_line_says_what_to_install(
    tmp_path: Path, libc: str, installed: str, words: tuple[str, ...]
) -> None:
    machine = Machine(tmp_path, libc)
    if installed:
        machine.python("bin/python3", installed)
    line = machine.refusal()
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("libc", "named", "words"),
    [
        (OLD, "python3.13", ("Python 3.13", "glibc 2.36", "runs on Python 3.11;")),
        (NEW, "python3.14", ("Python 3.14", "Python 3.13, 3.12 or 3.11;")),
        (NEW, "python3.12", ("does not run as CPython",)),
        (NEW, "python3.9", ("there is no such program",)),
    ],
)
def test_a_named_python_that_will_not_do_is_refused(
    tmp_path: Path, libc: str, named: str, words: tuple[str, ...]
) -> None:
    machine = Machine(tmp_path, libc)
    for version in ("3.11", "3.13", "3.14"):
        machine.python(f"bin/python{version}", version)
    machine.shim("bin/python3.12")
    line = machine.refusal(PYTHON=named)
    for word in (f"PYTHON={named}", *words):
        assert word in line


def test_a_named_python_decides(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.python("bin/python3.13", "3.13")
    machine.python("elsewhere/mine", "3.11")
    expected = ("3.11", "elsewhere/mine", BEFORE)
    assert machine.choice(PYTHON=str(tmp_path / "elsewhere" / "mine")) == expected


def test_an_environment_that_runs_stays_what_it_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.python("bin/python3.13", "3.13")
    machine.python("env/bin/python", "3.11")
    assert machine.choice() == ("3.11", "env/bin/python", BEFORE)
    assert machine.choice(PYTHON="python3.13")[0] == "3.13"


@pytest.mark.parametrize("found", ["3.10", "3.13", ""])
def test_an_environment_that_cannot_run_here_is_made_anew(tmp_path: Path, found: str) -> None:
    machine = Machine(tmp_path, OLD)
    machine.python("bin/python3.11", "3.11")
    if found:
        machine.python("env/bin/python", found)
    else:
        machine.shim("env/bin/python")
    (tmp_path / "env" / "left").touch()
    done = machine.run("uv", str(tmp_path / "env"))
    assert done.returncode == 0, done.stderr
    assert machine.choice() == ("3.11", "env/bin/python", BEFORE)
    assert not (tmp_path / "env" / "left").exists()
    assert machine.run("uv", str(tmp_path / "env")).stderr == ""


def test_without_the_module_venv_uv_makes_the_environment(tmp_path: Path) -> None:
    machine = Machine(tmp_path, NEW)
    machine.python("bin/python3.13", "3.13", venv=False)
    done = machine.run("uv", str(tmp_path / "env"))
    assert done.returncode == 2
    assert "apt-get install python3.13-venv" in done.stderr.splitlines()[-1]
    add_uv(machine, "3.13")
    done = machine.run("uv", str(tmp_path / "env"))
    assert done.returncode == 0, done.stderr
    assert machine.choice() == ("3.13", "env/bin/python", CURRENT)


@pytest.mark.parametrize(
    ("libc", "system", "word"),
    [
        ("", "Linux x86_64", "glibc"),
        (NEW, "Linux aarch64", "aarch64"),
        (NEW, "Darwin arm64", "Darwin on arm64"),
    ],
)
def test_a_system_without_wheels_is_named(tmp_path: Path, libc: str, system: str, word: str) -> None:
    machine = Machine(tmp_path, libc, system)
    machine.python("bin/python3.13", "3.13")
    assert word in machine.refusal()


def test_the_real_machine_gets_what_runs_this_test() -> None:
    done = subprocess.run(
        ["sh", str(SCRIPT), "choose", os.environ.get("VIRTUAL_ENV", ".venv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[2] in (CURRENT, BEFORE)
