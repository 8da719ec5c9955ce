"""Real database servers for tests, from the binaries that Debian's `postgresql` and `mariadb-server` install."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest

USER, PASSWORD, DATABASE = "dfei", "not-a-secret-5f3a", "metadata"
_START_SECONDS = 60
_STOP_SECONDS = 30


def _binary(name: str, *folders: Path) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, folders)]))


def _needed(package: str, *binaries: str) -> list[str]:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [_binary(name, *folders) for name in binaries]
    if None in found:
        pytest.skip(f"no {' or '.join(binaries)}: apt-get install {package}")
    return [path for path in found if path is not None]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def _folder(owner: str) -> Iterator[Path]:
    """A folder of the server's user: a database server refuses to run as root."""
    with tempfile.TemporaryDirectory(prefix="dfei-db-") as name:
        folder = Path(name) / "data"
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            Path(name).chmod(0o755)
            shutil.chown(folder, owner)
        yield folder


def _as(user: str) -> dict[str, str]:
    return {"user": user} if os.getuid() == 0 else {}


def _wait(try_once: object) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            try_once()  # type: ignore[operator]
            return
        except (psycopg.OperationalError, pymysql.err.OperationalError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ends a server, also one that does not listen."""
    process.send_signal(how)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty database on a PostgreSQL server of its own; skips where none is installed."""
    initdb, server = _needed("postgresql", "initdb", "postgres")
    with _folder("postgres") as folder:
        quiet = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **_as("postgres")}
        subprocess.run([initdb, "-D", folder, "-U", "root", "-A", "trust"], check=True, **quiet)
        # Passwords for all but the administrator, whose name a test may use without one.
        (folder / "pg_hba.conf").write_text(
            "host all root 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        port = _free_port()
        options = ["-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-p", str(port), "-c", "fsync=off"]
        with subprocess.Popen([server, "-D", str(folder), *options], **quiet) as process:
            try:
                administrator = f"host=127.0.0.1 port={port} user=root dbname=postgres"
                _wait(lambda: psycopg.connect(administrator).close())
                with psycopg.connect(administrator, autocommit=True) as connection:
                    connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
                    connection.execute(f"CREATE DATABASE {DATABASE} OWNER {USER}")
                yield f"postgresql://{USER}@127.0.0.1:{port}/{DATABASE}"
            finally:
                # SIGINT disconnects the clients; SIGTERM would wait until they have gone by themselves.
                _stop(process, signal.SIGINT)


@contextlib.contextmanager
def mysql() -> Iterator[str]:
    """The address of an empty database on a MariaDB server of its own; skips where none is installed."""
    install, server = _needed("mariadb-server", "mariadb-install-db", "mariadbd")
    with _folder("mysql") as folder:
        quiet = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **_as("mysql")}
        options = ["--no-defaults", f"--datadir={folder}"]
        normal = "--auth-root-authentication-method=normal"
        subprocess.run([install, *options, normal, "--skip-test-db"], check=True, **quiet)
        port = _free_port()
        options += ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder}/socket"]
        with subprocess.Popen([server, *options], **quiet) as process:
            try:
                administrator = {"unix_socket": f"{folder}/socket", "user": "root"}
                _wait(lambda: pymysql.connect(**administrator).close())
                with pymysql.connect(**administrator) as connection, connection.cursor() as cursor:
                    cursor.execute(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
                    cursor.execute(f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'")
                yield f"mysql://{USER}@127.0.0.1:{port}/{DATABASE}"
            finally:
                _stop(process, signal.SIGTERM)


SERVERS = {"postgresql": postgresql, "mysql": mysql}
