"""The files of a tape, read in batches so that memory stays small: Parquet by arro3, CSV by ourselves.

The Parquet reader is an extra and imported where it is used: a mock session needs no tape.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from math import nan
from pathlib import Path
from typing import Any

from tradingd.runtime.codec import clean_text

ROWS_PER_BATCH = 1024
_CSV_ROWS_PER_BATCH = 64
"""Text is slow to read, and the market stands still meanwhile: no more than half a millisecond of it."""

Batch = dict[str, list[Any]]
"""Column -> values, all of one length."""


class TapeError(ValueError):
    """A tape cannot be read; the text says which file, what is wrong and what to do."""


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the columns of a file, in its order."""
    if not path.is_file():
        raise TapeError(f"{path}: no such file")
    if _is_csv(path):
        with path.open(newline="", encoding="utf-8") as file, _readable(path):
            return tuple(next(csv.reader(file), ()))
    return tuple(_parquet(path).schema.names)


def read_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """Yield the wanted columns, some thousand rows at a time."""
    return _csv_batches(path, columns) if _is_csv(path) else _parquet_batches(path, columns)


def sorted_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """Yield the batches of a file in the order of `ts`, stably: for files of many symbols in turn.

    Held as numbers by column (eight bytes a value), because a reader per symbol costs megabytes each.
    """
    import numpy as np  # noqa: PLC0415 - only these files need it

    codes: dict[str, int] = {}
    kept: dict[str, array[Any]] = {n: array("q" if n == "ts" else "d") for n in columns}
    kept["symbol"] = array("q")
    for batch in read_batches(path, columns):
        for name, values in batch.items():
            if name == "symbol":
                kept[name].extend(codes.setdefault(each, len(codes)) for each in values)
            elif name == "ts":
                kept[name].extend(values)
            else:
                kept[name].extend(nan if each is None else float(each) for each in values)
    names = list(codes)
    whole = {name: np.frombuffer(values, values.typecode) for name, values in kept.items()}
    order = np.argsort(whole["ts"], kind="stable")
    for first in range(0, len(order), ROWS_PER_BATCH):
        rows = order[first : first + ROWS_PER_BATCH]
        cut: Batch = {name: values[rows].tolist() for name, values in whole.items()}
        cut["symbol"] = [names[code] for code in cut["symbol"]]
        yield cut


def _is_csv(path: Path) -> bool:
    if path.suffix in {".csv", ".parquet"}:
        return path.suffix == ".csv"
    raise TapeError(f"{path}: a tape is a .parquet or a .csv file")


def _csv_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    with path.open(newline="", encoding="utf-8") as file, _readable(path):
        rows = csv.reader(file)
        head = next(rows)
        places = {name: head.index(name) for name in columns}
        filled = filter(None, rows)  # an empty line is no row
        while chunk := list(islice(filled, _CSV_ROWS_PER_BATCH)):
            texts = list(zip_longest(head, *chunk))  # the head makes up for rows that are all short
            yield {name: _values(path, name, texts[place][1:]) for name, place in places.items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeError) as error:
        raise TapeError(f"{path}: not a readable CSV file ({clean_text(str(error))})") from None


def _values(path: Path, name: str, texts: Sequence[str | None]) -> list[Any]:
    if name == "symbol":
        return list(texts)
    try:
        if name == "ts":
            return [int(text) if text else None for text in texts]
        return [float(text) if text else None for text in texts]
    except ValueError as error:
        wrong = clean_text(str(error).rpartition(": ")[2])
        raise TapeError(f"{path}: column {name} holds {wrong}, not a number") from None


def _parquet_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    for batch in _parquet(path):
        if batch.num_rows:
            yield {name: batch.column(name).to_pylist() for name in columns}


def _parquet(path: Path) -> Any:  # noqa: ANN401 - arro3 has no types of its own
    try:
        from arro3.io import read_parquet  # noqa: PLC0415 - the extra [tape], absent in a plain install
    except ImportError as error:
        raise TapeError(
            f"{path}: Parquet needs the extra: pip install 'tradingd[tape]' (or use CSV)"
        ) from error
    try:
        return read_parquet(str(path), batch_size=ROWS_PER_BATCH)
    except Exception as error:
        raise TapeError(f"{path}: not a readable Parquet file ({error})") from error
