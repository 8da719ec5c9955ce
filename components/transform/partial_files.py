"""A file of partial results for every file of rows: those of each block and partition one after another, and where they
lie. So a file of rows is never held as a whole, nor are there as many files as partitions times files of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from tfx.dsl.io import fileio

from components.example_files import pickled, read_pickle, unpickled, write_pickle
from components.transform.collect import Partial


def write_partials(path: str, blocks: Iterable[dict[int, list[Partial]]]) -> None:
    """Writes the partial results of a file of rows.

    Args:
      path: where.
      blocks: partition -> partial results, of one block of rows after another; they are taken out as they are written.
    """
    places: dict[int, list[tuple[int, int]]] = {}
    at = 0
    with fileio.open(path, "wb") as stream:
        for block in blocks:
            for partition in sorted(block):
                content = pickled(block.pop(partition))
                stream.write(content)
                places.setdefault(partition, []).append((at, len(content)))
                at += len(content)
    write_pickle(_places_path(path), places)


def read_partials(path: str, partition: int) -> Iterator[Partial]:
    """The partial results of one partition, in the order of the blocks."""
    places = read_pickle(_places_path(path)).get(partition)
    if places:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
            for at, length in places:
                stream.seek(at)
                yield from unpickled(stream.read(length))


def _places_path(path: str) -> str:
    return f"{path}.places"
