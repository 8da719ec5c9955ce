"""Predictions for the rows of a file: what is behind `dfei predict`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from components.dataset.input_names import input_name
from components.dataset.names import Written
from components.dataset.sections import UTF_8, known_encoding
from components.errors import InputError
from models.arrays import Array
from pipeline.client import TensorSpec, Which
from pipeline.datasets.proposal.text_format import TextFormat, settings_of
from pipeline.predict.columns import check_signature, column_of, to_inputs, written_by_input
from pipeline.predict.joins import Join, Lookup
from pipeline.predict.rows import BadRows, Chunk, Format, RowError, Source
from pipeline.predict.targets import Target, open_target
from pipeline.predict.writers import Writer, output_format, output_separator

__all__ = ["Prediction", "PredictionProgress", "RowError", "predict_rows"]

_HEADER = ". If the first line is data, name its columns with --columns A,B,C"


@dataclass(frozen=True)
class PredictionProgress:
    """How far it is: rows written, and how many there will be, about (`None` where that is not known)."""

    rows: int
    total: int | None


@dataclass(frozen=True)
class Prediction:
    """What was done.

    Attributes:
      rows: rows with predictions.
      model: who predicted.
      missing: inputs of the signature that neither the source nor a lookup had; they were sent as missing.
      inputs: how many inputs the signature has.
      unmatched: rows without a line in a lookup, by its `FILE=COLUMN`.
      skipped: rows that could not be used and were passed over.
      first_skipped: the first of them, where and why.
    """

    rows: int
    model: str
    missing: tuple[str, ...]
    inputs: int = 0
    unmatched: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    first_skipped: tuple[str, ...] = ()

    @property
    def mostly_missing(self) -> bool:
        """Whether more than half of the inputs were in no row."""
        return 2 * len(self.missing) > self.inputs


def predict_rows(
    source: Path | None,
    *,
    url: str | None = None,
    model_dir: Path | None = None,
    model: str | None = None,
    version: int | None = None,
    label: str | None = None,
    signature: str = "serving_default",
    lookups: Sequence[str] = (),
    output: Path | None = None,
    input_format: Format | None = None,
    separator: str | None = None,
    written: Sequence[str] = (),
    encoding: str = UTF_8,
    columns: Sequence[str] = (),
    format: Format | None = None,
    batch_size: int = 512,
    parallel: int = 4,
    timeout: float = 30.0,
    ca_file: Path | None = None,
    exact_text: bool = False,
    skip_bad_rows: bool = False,
    progress: Callable[[PredictionProgress], None] = lambda progress: None,
) -> Prediction:
    """Asks for a prediction for every row of a source and writes rows and predictions, in order, as they come.

    Rows go through a batch at a time: memory does not depend on the size of the source. Lookups are held in memory.

    Args:
      source: a CSV, TSV, JSON (lines, an array, or `{"instances": [...]}`) or Parquet file; `None` for standard input.
      url: a server, see `open_target`.
      model_dir: or a pushed model.
      model: the model's name on the server.
      version: of the model on the server; the latest where it is `None`.
      label: or the label of the version.
      signature: what to ask; one that takes one value per row.
      lookups: tables to join to every row before the model is asked, as `Lookup.readings` reads them, in this order.
        The rows are written without their columns.
      output: the file to write; `None` for standard output.
      input_format: of the source, where its suffix does not say.
      separator: between the values of the source's CSV, and of a lookup in which the suffix's finds no key; by default
        the suffix's, or what the header shows.
      written: how the texts of floats are written, as the declaration says of a feature: `comma`, or `COLUMN=comma`;
        the latter goes before. By default as a pushed model's declaration says, else plainly.
      encoding: of CSV, tables included, that is not UTF-8 by its bytes.
      columns: names where the first line of CSV is data: `a,b,c`, or a file of them; for a lookup `FILE=a,b,c`.
      format: to write; by default that of the output's suffix, else CSV for CSV and JSON lines for others. CSV is
        separated as the source is, `.tsv` by tabs.
      batch_size: rows of a request.
      parallel: requests at the same time, to a server.
      timeout: seconds for a request with its retries.
      ca_file: certificates of who signed the server's, for TLS; the system's by default.
      exact_text: whether text that a spreadsheet would compute is written to CSV as it is.
      skip_bad_rows: whether rows that cannot be read, or have a value that is none of its input's type, are passed over
        and counted.
      progress: told after each batch.

    Raises:
      RowError: there is such a row, and they are not passed over.
      InputError: a file, a value, the address or the signature is wrong, there are no rows, or the server does not
        answer.
    """
    if version is not None and label is not None:
        raise InputError("name a version or a label, not both")
    try:
        encoding = known_encoding(encoding)
    except ValueError as error:
        raise InputError(f"--encoding {encoding}: {error}") from None
    named = [Lookup.readings(text) for text in lookups]
    texts = settings_of(TextFormat(columns=columns), [readings[0].path for readings in named])
    names: dict[Path | None, Sequence[str]] = {path: text["columns"] for path, text in texts.items()}
    bad = BadRows(skip_bad_rows)
    read = Source(source, input_format, separator, encoding, names[None], bad)
    kind = output_format(output, read.kind, format)
    with open_target(
        url,
        model_dir,
        model=model,
        which=Which(version, label),
        timeout=timeout,
        parallel=parallel,
        ca_file=ca_file,
    ) as target:
        if signature not in target.signatures:
            raise InputError(
                f"{target.name} has no signature {signature!r}; there are {', '.join(sorted(target.signatures))}"
            )
        asked = target.signatures[signature]
        check_signature(signature, asked)
        writings = written_by_input(written, asked.inputs, target.written)
        read.keys = {name: value for name, value in read.keys.items() if input_name(name) in asked.inputs}
        join = Join(named, asked.inputs, read.name, separator, writings, encoding, names)
        rows, seen = 0, set[str]()
        with Writer(output, kind, exact_text, lambda: output_separator(output, read)) as writer:
            for chunk, joined, outputs in _answers(read, join, target, signature, batch_size, writings, bad):
                writer.write(chunk, outputs)
                rows += len(chunk.rows)
                seen.update(name for row in joined.rows for name in row)
                progress(PredictionProgress(rows, read.expected_rows))
            if not rows and bad.rows:
                raise InputError(
                    f"{read.name}: none of its {bad.rows:,} rows can be used; {'; '.join(bad.first)}"
                )
            if not rows and read.header is not None and kind == "csv":
                writer.write_header(
                    [*read.header, *(name for name in asked.outputs if name not in read.header)]
                )
                seen.update(read.header, join.columns)
            elif not rows:
                raise InputError(f"{read.name}: there are no rows to predict")
        seen |= {input_name(name) for name in seen}
        missing = tuple(sorted(asked.inputs.keys() - seen))
        return Prediction(
            rows, target.name, missing, len(asked.inputs), join.unmatched, bad.rows, tuple(bad.first)
        )


def _answers(
    source: Source,
    join: Join,
    target: Target,
    signature: str,
    batch_size: int,
    written: Mapping[str, Written],
    bad: BadRows,
) -> Iterator[tuple[Chunk, Chunk, dict[str, Array]]]:
    """Chunks, as they are and joined, with their outputs, in order, some requests ahead of the one waited for."""
    inputs = target.signatures[signature].inputs
    waiting: deque[tuple[Chunk, Chunk, Future[dict[str, Array]]]] = deque()
    with ThreadPoolExecutor(target.parallel) as pool:
        try:
            for number, read in enumerate(source.chunks(batch_size)):
                chunk, joined = read, join(read)
                if number == 0 and not any(
                    column_of(joined, name) in row for row in joined.rows for name in inputs
                ):
                    raise InputError(
                        f"{source.name}: none of its columns is an input of {signature!r}; "
                        f"it takes {', '.join(sorted(inputs))}{_HEADER if source.header else ''}"
                    )
                chunk, joined, tensors = _usable(chunk, joined, inputs, source.name, written, bad)
                if chunk.rows:
                    waiting.append((chunk, joined, pool.submit(target.predict, tensors, signature)))
                if len(waiting) > target.parallel:
                    first, asked, answer = waiting.popleft()
                    yield first, asked, answer.result()
            while waiting:
                first, asked, answer = waiting.popleft()
                yield first, asked, answer.result()
        finally:
            for _, _, answer in waiting:
                answer.cancel()


def _usable(
    chunk: Chunk,
    joined: Chunk,
    inputs: Mapping[str, TensorSpec],
    source: str,
    written: Mapping[str, Written],
    bad: BadRows,
) -> tuple[Chunk, Chunk, dict[str, Array]]:
    """The rows whose values are of the inputs' types, as they are and joined, and the inputs."""
    while True:
        try:
            return chunk, joined, to_inputs(joined, inputs, source, written)
        except RowError as error:
            bad.add(error)
            assert error.row is not None
            chunk, joined = chunk.without(error.row), joined.without(error.row)
