"""The ingestion, written a second time as literally as possible: the csv module, dicts and loops."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from components.dataset import Declaration

MISSING = {"", "nan", "-nan", "null", "none", "na", "n/a", "\\n"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class UnfitError(Exception):
    """A value that does not fit its type."""


@dataclass
class Outcome:
    """What an ingestion should leave."""

    train: list[dict[str, list[Any]]] = field(default_factory=list)
    eval: list[dict[str, list[Any]]] = field(default_factory=list)
    rows: int = 0
    duplicates: int = 0
    rejects: list[tuple[str, int]] = field(default_factory=list)
    days: set[int] = field(default_factory=set)
    domains: set[Any] = field(default_factory=set)
    labels: set[int] = field(default_factory=set)
    unmatched: list[int] = field(default_factory=list)


def lines_of(path: Path) -> list[tuple[int, list[str] | None]]:
    """(line, values) below the header; None where the line is not a row."""
    content = path.read_bytes().split(b"\n")
    header = next(csv.reader([content[0].decode().rstrip("\r")]))
    found: list[tuple[int, list[str] | None]] = []
    for number, raw in enumerate(content[1:], start=2):
        text = raw.removesuffix(b"\r").decode()
        if text == "":
            continue
        try:
            values = next(csv.reader([text], strict=True))
        except csv.Error:
            found.append((number, None))
            continue
        found.append((number, values if len(values) == len(header) else None))
    return found


def header_of(path: Path) -> list[str]:
    return next(csv.reader([path.read_bytes().split(b"\n")[0].decode().rstrip("\r")]))


def number(text: str) -> float | None:
    stripped = text.strip()
    if stripped.lower() in MISSING:
        return None
    if not NUMBER.fullmatch(stripped) or abs(float(stripped)) > 3.4028234663852886e38:
        raise UnfitError
    return float(stripped)


def typed(text: str, kind: str, separator: str | None) -> Any:
    if separator is not None:
        values = [typed(part.strip(), kind, None) for part in text.split(separator)]
        return [value for value in values if value is not None] or None
    if kind == "string":
        return text.encode() or None
    value = number(text)
    if value is None or kind == "float":
        return value
    if re.fullmatch(r"[+-]?\d+", text.strip(), re.ASCII):
        if not -(2**63) <= int(text) < 2**63:
            raise UnfitError
        return int(text)
    if value != int(value):
        raise UnfitError
    return int(value)


def column_type(declaration: Declaration, name: str) -> tuple[str, str | None]:
    feature = declaration.features.get(name)
    return declaration.column_type(name), feature.separator if feature else None


def wall_clock(at: int, declaration: Declaration) -> int:
    if not 31_536_000_000 <= at <= 7_258_118_400_000:
        raise UnfitError
    moment = datetime.fromtimestamp(at / 1000, ZoneInfo(declaration.time_zone)).replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000 + at % 1000


def narrowed(value: Any) -> Any:
    return float(np.float32(value)) if isinstance(value, float) else value


def ingest_literally(declaration: Declaration, data: Path, logs: list[str]) -> Outcome:
    outcome = Outcome(unmatched=[0] * len(declaration.lookups))
    header = header_of(data / logs[0])
    needed = [name for name in declaration.raw_columns() if name in header]
    tables = []
    for lookup in declaration.lookups:
        table: dict[Any, dict[str, Any]] = {}
        names = header_of(data / lookup.files[0])
        for _, values in lines_of(data / lookup.files[0]):
            assert values is not None
            row = dict(zip(names, values, strict=True))
            key = typed(row.pop(lookup.right_key), declaration.column_type(lookup.left_key), None)
            table[key] = {
                lookup.prefix + name: typed(value, *column_type(declaration, lookup.prefix + name))
                for name, value in row.items()
                if lookup.prefix + name in declaration.raw_columns() and lookup.prefix + name not in header
            }
        tables.append(table)
    seen: set[tuple[str, ...]] = set()
    kept: list[dict[str, Any]] = []
    for log in logs:
        names = header_of(data / log)
        for line, values in lines_of(data / log):
            outcome.rows += 1
            try:
                if values is None:
                    raise UnfitError
                raw = dict(zip(names, values, strict=True))
                row = {name: typed(raw[name], *column_type(declaration, name)) for name in needed}
                if row[declaration.label] not in (0, 1) or row[declaration.domain] is None:
                    raise UnfitError
                if row[declaration.timestamp.column] is None:
                    raise UnfitError
                row["local_time_ms"] = wall_clock(row.pop(declaration.timestamp.column), declaration)
            except UnfitError:
                outcome.rejects.append((str(data / log), line))
                continue
            outcome.days.add(row["local_time_ms"] // 86_400_000)
            outcome.domains.add(row[declaration.domain])
            outcome.labels.add(row[declaration.label])
            identity = tuple(f"{name}\0{raw[name]}" for name in sorted(raw))
            if identity in seen:
                outcome.duplicates += 1
                continue
            seen.add(identity)
            kept.append(row)
    last_days = sorted(outcome.days)[-declaration.split.eval_days :]
    for row in kept:
        for number_, (lookup, table) in enumerate(zip(declaration.lookups, tables, strict=True)):
            match = table.get(row[lookup.left_key]) if row[lookup.left_key] is not None else None
            outcome.unmatched[number_] += match is None
            row.update(match or {})
        example = {}
        for name in [*declaration.features, declaration.label, declaration.domain, "local_time_ms"]:
            example[name] = row.get(name)
        for name, behaviour in declaration.behaviours.items():
            value = row[behaviour.column] if behaviour.column else row[behaviour.numerator]
            if behaviour.denominator is not None:
                below = row[behaviour.denominator]
                value = value / below if value is not None and below else None
            if behaviour.clip and value is not None:
                value = min(max(value, behaviour.clip[0]), behaviour.clip[1])
            example[f"behaviour.{name}"] = value if value is None else float(value)
        split = outcome.eval if row["local_time_ms"] // 86_400_000 in last_days else outcome.train
        split.append(
            {
                name: [
                    float(np.float32(v)) if isinstance(v, float) else v
                    for v in (value if isinstance(value, list) else [value])
                ]
                for name, value in example.items()
                if value is not None
            }
        )
    return outcome
