"""Rows of any format as a stream of blocks: what a block costs in memory does not depend on the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa

from components.dataset.csv_lines import line_blocks, parse_lines
from components.dataset.encodings import as_utf_8, one_character
from components.dataset.files import DataFile
from components.dataset.json_lines import parse_json_lines
from components.dataset.parquet import read_metadata, record_batches
from components.dataset.parquet_types import to_frame
from components.dataset.read_plan import Piece
from components.dataset.text_block import TextBlock

BLOCK_BYTES = 4 << 20
_PARQUET_ROWS = 32_768
# Bytes of a block of text for each column, at least.
_LEAST_OF_COLUMN = 512


def read_blocks(file: DataFile, start: int, end: int, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """Blocks of rows; csv values are text, Parquet's keep their types, the keys of its folders are text.

    Lines count from the block's first as 0.

    Args:
      file: the file.
      start, end: bytes of a csv file (lines that begin there), or row groups of a Parquet file.
      block_bytes: bytes of csv in a block.
    Raises:
      InputError: the file cannot be read.
    """
    for block in _own_blocks(file, start, end, block_bytes):
        keys = [pl.lit(value, pl.String).alias(name) for name, value in file.keys]
        yield replace(block, frame=block.frame.with_columns(keys)) if keys else block


def blocks_of(files: Sequence[DataFile], piece: Piece, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The blocks of a piece; small files are read as one, so that a block is not as small as they are.

    Args:
      files: of the log.
      piece: what to read.
      block_bytes: bytes of csv in a block.
    Raises:
      InputError: a file cannot be read.
    """
    if piece.files == 1:
        yield from read_blocks(files[piece.file], piece.start, piece.end, block_bytes)
        return
    held: list[TextBlock] = []
    for place in range(piece.files):
        for block in read_all(files[piece.file + place]):
            if held and not _same_columns(held[0], block):
                yield _one(held)
                held = []
            held.append(replace(block, parts=((place, block.count),)))
            if sum(len(one.frame) for one in held) >= _PARQUET_ROWS // 2:
                yield _one(held)
                held = []
    if held:
        yield _one(held)


def _same_columns(first: TextBlock, second: TextBlock) -> bool:
    """Whether the columns have the same names, in any order, and types."""
    return dict(first.frame.schema) == dict(second.frame.schema)


def _one(blocks: Sequence[TextBlock]) -> TextBlock:
    """Blocks that follow each other, as one."""
    before = np.cumsum([0, *(block.count for block in blocks)])
    frames = [block.frame for block in blocks]
    columns = frames[0].columns
    return TextBlock(
        pl.concat([frame if frame.columns == columns else frame.select(columns) for frame in frames]),
        np.concatenate([block.lines + start for block, start in zip(blocks, before, strict=False)]),
        [
            (int(start) + line, reason)
            for block, start in zip(blocks, before, strict=False)
            for line, reason in block.bad
        ],
        int(before[-1]),
        tuple(part for block in blocks for part in block.parts),
    )


def _own_blocks(file: DataFile, start: int, end: int, block_bytes: int) -> Iterator[TextBlock]:
    if file.format == "parquet":
        yield from _parquet_blocks(file, start, end)
    else:
        # Of a hundred thousand columns, a block of few rows costs what one of many does.
        for block in line_blocks(
            file, start, end, max(block_bytes, _LEAST_OF_COLUMN * len(file.own_columns))
        ):
            yield parse_text(file, block)


def parse_text(file: DataFile, block: bytes) -> TextBlock:
    """Whole lines of a text file; without the keys of its folders."""
    text = as_utf_8(block, file.encoding)
    if file.is_json:
        return parse_json_lines(text, file.own_columns)
    return parse_lines(*one_character(text, file.separator), file.own_columns)


def read_all(file: DataFile) -> Iterator[TextBlock]:
    """The whole file, in blocks."""
    if file.format == "parquet":
        return read_blocks(file, 0, read_metadata(file.path).num_row_groups)
    return read_blocks(file, file.data_start, file.size)


def _parquet_blocks(file: DataFile, start: int, end: int) -> Iterator[TextBlock]:
    for batch in _joined(record_batches(file.path, _PARQUET_ROWS, list(range(start, end)))):
        frame = to_frame(file, batch)
        yield TextBlock(frame, np.arange(len(frame), dtype=np.int64), [], len(frame))


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, small ones as one: a file of row groups of one row, each with its own dictionary, has many."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= _PARQUET_ROWS // 2:
            yield from _as_one(held)
            held, rows = [], 0
    yield from _as_one(held)


def _as_one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    # Arrow has no common dictionary for those within lists.
    if len(batches) < 2 or any(
        "list" in str(kind) and "dictionary" in str(kind) for kind in batches[0].schema.types
    ):
        return batches
    return list(pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches())
