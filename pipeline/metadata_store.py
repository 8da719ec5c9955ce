"""Where the run's metadata goes: a file beside the artifacts, or a database server that several machines share.

    --metadata postgresql://user@host:5432/database?sslmode=verify-full
    --metadata mysql://user@host:3306/database?ca=/etc/ssl/ca.pem

The password comes from `DFEI_METADATA_PASSWORD`, never from the command line, which every user of a machine can read.
Imports TFX and ML Metadata only when a store is opened, so that a wrong address is an error in a moment.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from components.errors import InputError

PASSWORD_VARIABLE = "DFEI_METADATA_PASSWORD"
USER_VARIABLE = "DFEI_METADATA_USER"
CONNECT_SECONDS = 10
# Held while the tables are made: two first runs at once would both make them.
_LOCK_NAME, _LOCK_NUMBER, _LOCK_SECONDS = "dfei-metadata", 0x64666569, 120
_PORTS = {"postgresql": 5432, "mysql": 3306}
_OPTIONS = {
    "postgresql": ("sslmode", "sslrootcert", "sslcert", "sslkey"),
    "mysql": ("ca", "cert", "key"),
}
# ML Metadata's indexes over whole texts, which PostgreSQL limits to 2,704 bytes a row. A declaration is longer.
_WHOLE_TEXTS = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = current_schema() AND indexname ~ '^idx_(artifact|execution|context)_property_string$'
      AND indexdef !~ 'left'
"""
_INDEXED_CHARACTERS = 255


@dataclasses.dataclass(frozen=True)
class MetadataServer:
    """A database that holds the metadata of all who share it.

    Attributes:
      kind: `postgresql` or `mysql` (MariaDB too).
      host, port, database, user, password: where and as whom.
      options: of the encrypted connection.
    """

    kind: str
    host: str
    port: int
    database: str
    user: str
    password: str = dataclasses.field(repr=False)
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}://{self.user}@{self.host}:{self.port}/{self.database}"


def parse_metadata(text: str, environment: Mapping[str, str] = os.environ) -> MetadataServer:
    """A server from its address; user and password may come from the environment.

    Raises:
      InputError: what is wrong with the address, and what was expected.
    """
    expected = "expected postgresql://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InputError(f"--metadata {text}: {error}; {expected}") from None
    if parts.password is not None:
        hidden = text.replace(f":{parts.password}@", ":...@")
        raise InputError(
            f"--metadata {hidden}: a password on the command line can be read by every user of this machine; leave it "
            f"out and set {PASSWORD_VARIABLE}"
        )
    kind = {"postgres": "postgresql", "mariadb": "mysql"}.get(parts.scheme, parts.scheme)
    database = unquote(parts.path.removeprefix("/"))
    if kind not in _PORTS or not parts.hostname or not database or "/" in database:
        raise InputError(f"--metadata {text}: {expected}")
    user = unquote(parts.username or "") or environment.get(USER_VARIABLE, "")
    if not user:
        raise InputError(f"--metadata {text}: no user; {expected}, or set {USER_VARIABLE}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS[kind]:
            raise InputError(
                f"--metadata {text}: {kind} takes no option {name!r}, but {', '.join(_OPTIONS[kind])}"
            )
    password = environment.get(PASSWORD_VARIABLE, "")
    return MetadataServer(kind, parts.hostname, port or _PORTS[kind], database, user, password, options)


def check_metadata(server: MetadataServer) -> None:
    """Logs in once, so that a wrong password is an error before anything starts.

    Raises:
      InputError: the server is not reached, refuses, or has no such database.
    """
    with _connected(server):
        pass


def connection_config(server: MetadataServer) -> Any:
    """ML Metadata's `ConnectionConfig`."""
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    # The database exists (it was logged in to), and the user may lack the right to make one.
    if server.kind == "mysql":
        config.mysql.host, config.mysql.port = server.host, server.port
        config.mysql.user, config.mysql.password = server.user, server.password
        config.mysql.database, config.mysql.skip_db_creation = server.database, True
        for name, value in server.options.items():
            setattr(config.mysql.ssl_options, name, value)
        return config
    config.postgresql.host, config.postgresql.port = server.host, str(server.port)
    config.postgresql.user, config.postgresql.password = server.user, server.password
    config.postgresql.dbname, config.postgresql.skip_db_creation = server.database, True
    for name, value in server.options.items():
        setattr(config.postgresql.ssloption, name, value)
    return config


def open_store(server: MetadataServer) -> Any:
    """Makes the tables if there are none, mends PostgreSQL's indexes, and gives the connection that TFX takes.

    ML Metadata indexes whole property values. PostgreSQL refuses a value above 2,704 bytes in an index ("index row
    size exceeds btree version 4 maximum"), and an execution keeps its whole declaration as a value. The indexes
    are made anew over the first 255 characters, as ML Metadata's own are on MySQL.

    Raises:
      InputError: the database holds something else, or tables of another version.
    """
    from ml_metadata import errors, metadata_store

    config = connection_config(server)
    with _connected(server) as execute, _locked(server, execute):
        try:
            metadata_store.MetadataStore(config)
        except errors.StatusError as error:
            raise InputError(
                f"--metadata {server}: ML Metadata cannot use this database: {error}; give an empty one, or the one "
                "of earlier runs"
            ) from error
        if server.kind == "postgresql":
            for name, definition in execute(_WHOLE_TEXTS):
                shorter = definition.replace("string_value)", f'"left"(string_value, {_INDEXED_CHARACTERS}))')
                execute(f"DROP INDEX {name}")
                execute(shorter)
    return config


Execute = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def _connected(server: MetadataServer) -> Iterator[Execute]:
    connect = _postgresql if server.kind == "postgresql" else _mysql
    try:
        connection, execute = connect(server)
    except Exception as error:
        reason = " ".join(str(part) for part in error.args) or type(error).__name__
        raise InputError(
            f"--metadata {server}: no connection ({' '.join(reason.split())}); the database must exist and belong to "
            f"the user, and {PASSWORD_VARIABLE} must hold the password"
        ) from None
    try:
        yield execute
    finally:
        connection.close()


def _postgresql(server: MetadataServer) -> tuple[Any, Execute]:
    import psycopg

    options: dict[str, Any] = dict(server.options)
    connection = psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password or None,
        dbname=server.database,
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
        **options,
    )

    def execute(statement: str) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    return connection, execute


def _mysql(server: MetadataServer) -> tuple[Any, Execute]:
    import pymysql

    options: dict[str, Any] = {f"ssl_{name}": value for name, value in server.options.items()}
    connection = pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=server.database,
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
        **options,
    )

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    return connection, execute


@contextmanager
def _locked(server: MetadataServer, execute: Execute) -> Iterator[None]:
    """Both locks go with the connection, whatever happens."""
    if server.kind == "postgresql":
        execute(f"SELECT pg_advisory_lock({_LOCK_NUMBER})")
        yield
        execute(f"SELECT pg_advisory_unlock({_LOCK_NUMBER})")
        return
    [[got]] = execute(f"SELECT GET_LOCK('{_LOCK_NAME}', {_LOCK_SECONDS})")
    if got != 1:
        raise InputError(f"--metadata {server}: another run has been making the tables for {_LOCK_SECONDS} s")
    yield
    execute(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')")
