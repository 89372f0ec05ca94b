"""Published tables → rows of text cells; whatever is wrong with one names its file and line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from callsift.data.importers.tables import read_csv
from callsift.errors import DataError

_C1 = {code: bytes([code]).decode("cp1252", "ignore") or None for code in range(0x80, 0xA0)}
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. `cells`: as they stand there; asked for by name, without the blanks around."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column].strip()

    def wrong(self, message: str) -> DataError:
        """What is wrong here, with file and line."""
        return DataError(message, self.path, self.line)

    def filled(self, column: str) -> str:
        """A cell that must not be empty.

        Raises:
            DataError: it is.
        """
        if not self[column]:
            raise self.wrong(f"'{column}' is empty")
        return self[column]

    def number(self, column: str) -> int:
        """A whole number from 0, of at most 18 digits.

        Raises:
            DataError: it is none.
        """
        if not (self[column].isascii() and self[column].isdecimal()):
            raise self.wrong(f"'{column}' must be a whole number, not '{self[column]}'")
        if len(self[column]) > _DIGITS:
            raise self.wrong(f"'{column}' has {len(self[column]):,} digits, more than the {_DIGITS} of any id")
        return int(self[column])

    def one_of(self, column: str, known: Collection[str]) -> str:
        """One of some names, whatever its case.

        Raises:
            DataError: another one.
        """
        found = next((name for name in known if name.lower() == self[column].lower()), None)
        if found is None:
            raise self.wrong(f"'{column}' is '{self[column]}', not one of {', '.join(known)}")
        return found


def read_rows(path: Path, columns: Sequence[str], key: Callable[[Row], Hashable] | None = None) -> list[Row]:
    """The rows of a CSV file that must have some columns. `key`: what no two rows may have in common.

    Raises:
        DataError: the file is missing or no table, lacks a column, or a row is ragged or there twice.
    """
    if not path.is_file():
        raise DataError("does not exist; name the folder that holds the data as published by --data", path)
    table = read_csv(path)
    if lacking := [name for name in columns if name not in table.header]:
        raise DataError(f"has no column '{lacking[0]}'; there are {', '.join(table.header)}", path, 1)
    first: dict[Hashable, int] = {}
    rows = []
    for line, cells in table.rows:
        if len(cells) != len(table.header):
            raise DataError(f"has {len(cells)} cells, the header {len(table.header)}", path, line)
        row = Row(path, line, dict(zip(table.header, cells, strict=True)))
        rows.append(row)
        if key is not None and first.setdefault(key(row), line) != line:
            raise row.wrong(f"stands on line {first[key(row)]} already: {_named(key(row))}")
    return rows


def mended(text: str) -> str:
    """Text whose marks went through Windows-1252 by mistake, with these marks: `I\\x92m` and `Iâ€™m` → `I’m`."""
    if "â€" in text or "Ã" in text:
        with suppress(UnicodeError):  # it may only look so
            text = text.encode("cp1252").decode("utf-8")
    return text.translate(_C1)


def files_by_stem(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """The files of a folder by name without ending, of the endings given; of one stem in two, the earlier ending's.

    A folder that is not there holds none.
    """
    if not folder.is_dir():
        return {}
    order = list(suffixes)
    found = [path for path in folder.iterdir() if path.suffix.lower() in order and path.is_file()]
    return {path.stem: path for path in sorted(found, key=lambda path: -order.index(path.suffix.lower()))}


def _named(key: Hashable) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
