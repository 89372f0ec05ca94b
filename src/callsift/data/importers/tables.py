"""CSV and XLSX files → rows of cells, whatever the delimiter (comma, semicolon, tab) and the encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from callsift.data.importers.fields import columns_of, plain
from callsift.data.importers.parts import Imported, Place, Request
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows
from callsift.errors import DataError

DELIMITERS = ",;\t"
_SEP = re.compile(r'"?sep=([^\s"\w]|\t)"?[,;\t]*', re.IGNORECASE)
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError,
    ArithmeticError, SyntaxError, OSError,
)  # fmt: skip
"""What openpyxl raises on damaged workbooks, which it does not check: any of these, by where the damage is."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header, the rows below it with their line numbers, and what a reader should know of how it was read."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, Sequence[Any]], ...]
    note: str


def import_csv(path: Path, request: Request) -> Imported:
    """A CSV file: one call, segment, turn or grader a row.

    Raises:
        DataError: no table, nothing below its header, or a row that can't be imported.
        UsageError: a mapping to what does not exist.
    """
    return _import(read_csv(path), request)


def import_xlsx(path: Path, request: Request) -> Imported:
    """The same of the first sheet of a workbook (Excel, LibreOffice)."""
    return _import(read_xlsx(path), request)


def _import(table: Table, request: Request) -> Imported:
    columns = columns_of(table.header, request.mapping, raters=request.raters)
    if not {"audio", "text", "transcript"} & set(columns.used):
        raise Place(table.path).wrong(
            f"no column is found for audio, text or transcript; there are {', '.join(table.header)}: "
            "name one, as in --map text=COLUMN or --map audio=COLUMN"
        )
    found = import_rows(table.path, _rows(table), columns, request)
    return replace(found, notes=(table.note, *found.notes))


def _rows(table: Table) -> Iterator[Row]:
    for line, cells in table.rows:
        fault = None
        if len(cells) != len(table.header):
            fault = Place(table.path, line).wrong(
                f"has {len(cells)} cells, the header {len(table.header)}; "
                "a text with a delimiter in it must stand in quotes"
            )
        yield Row(line, dict(zip(table.header, cells, strict=False)), fault)


def read_csv(path: Path) -> Table:
    """The table of a CSV file.

    Raises:
        DataError: empty, nothing below the header, no text, two columns of one name, or a quote that is never closed.
    """
    text, encoding = _text(path)
    text, line, delimiter = _delimited(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, Sequence[Any]]] = []
    start = line
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + start
    except csv.Error as error:
        raise DataError(f"is no CSV from here on: {error}", path, line) from error
    name = {",": "comma", ";": "semicolon", "\t": "tab"}.get(delimiter, f"'{delimiter}'")
    return _table(path, rows, f"read as {encoding}, columns parted by {name}")


def _delimited(text: str) -> tuple[str, int, str]:
    """A text without the line `sep=;` that Excel knows, the number of its first line, and its delimiter."""
    first, _, rest = text.partition("\n")
    told = _SEP.fullmatch(first.rstrip("\r"))
    if told is not None:
        return rest, 2, told[1]
    head = text.lstrip("\r\n").split("\n", 1)[0]
    return text, 1, max(DELIMITERS, key=head.count)


def _text(path: Path) -> tuple[str, str]:
    """The text of a file and its encoding."""
    data = path.read_bytes()
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            encodings = [encoding]
            break
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8-sig" and _mostly_utf8(data):
                line = data.count(b"\n", 0, error.start) + 1
                message = f"is damaged UTF-8 at byte {error.start} (line {line}); save it again, or mend that place"
                raise DataError(message, path) from error
            continue
        if "\0" in text:
            break
        return text, {"utf-8-sig": "UTF-8", "gb18030": "GB18030 (GBK)", "utf-16": "UTF-16"}[encoding]
    raise DataError("is no text in UTF-8, UTF-16 or GB18030 (GBK); save it as CSV UTF-8", path)


def _mostly_utf8(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 would be, but for some damage.

    GB18030 seen as UTF-8 has next to no characters of three bytes or more, and never is all but whole.
    """
    beyond = sum(byte >= 0x80 for byte in data)
    sizes = [len(char.encode()) for char in data.decode("utf-8", "ignore") if char > "\x7f"]
    return sum(size for size in sizes if size > 2) > 0.5 * beyond or sum(sizes) > 0.95 * beyond


def read_xlsx(path: Path) -> Table:
    """The table of a workbook's first sheet, formulas by the values that were saved with them.

    Raises:
        DataError: no workbook, a damaged one, or a sheet that is no table.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    _check_is_workbook(path)
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which are not read
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet, *others = book.worksheets
            sheet.reset_dimensions()  # what a file says of its size is wrong where other programs wrote it
            rows = list(enumerate(sheet.iter_rows(values_only=True), start=1))
            book.close()
        except (*_DAMAGE, InvalidFileException) as error:
            message = f"is no readable .xlsx workbook, or a truncated one ({error}); save it again"
            raise DataError(message, path) from error
    note = f"read the sheet '{sheet.title}'"
    if others:
        note += ", not " + ", ".join(f"'{other.title}'" for other in others)
    return _table(path, _trimmed(rows), note)


def _check_is_workbook(path: Path) -> None:
    """Say what a file is that is only called a workbook.

    Raises:
        DataError: a text, or a workbook in the form of before 2007.
    """
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError("is an old (.xls) or an encrypted workbook; save it as .xlsx without a password", path)
    if not head.startswith(b"PK") and b"\0" not in head and len(head.splitlines()) > 1:
        raise DataError("is called a workbook and holds text; where it is a CSV file, add --format csv", path)


def _trimmed(rows: Iterable[tuple[int, Sequence[Any]]]) -> list[tuple[int, Sequence[Any]]]:
    """Rows as wide as the header: sheets often have empty columns behind it."""
    found: list[tuple[int, Sequence[Any]]] = []
    width = 0
    for line, row in rows:
        cells = [value.isoformat() if isinstance(value, date) else value for value in row]
        width = width or max((at for at, value in enumerate(cells, start=1) if plain(value)), default=0)
        spare = any(plain(value) for value in cells[width:])
        found.append((line, cells if spare else [*cells, *[None] * (width - len(cells))][:width]))
    return found


def _table(path: Path, rows: Sequence[tuple[int, Sequence[Any]]], note: str) -> Table:
    filled = [(line, cells) for line, cells in rows if any(plain(cell) for cell in cells)]
    if not filled:
        raise DataError("is empty; a table has a header and a row for each call or segment", path)
    header = tuple(plain(cell) or f"column {at}" for at, cell in enumerate(filled[0][1], start=1))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"has two columns '{twice}'; rename one", path, filled[0][0])
    if len(filled) == 1:
        raise DataError(f"has a header ({', '.join(header)}) and no rows below it", path)
    return Table(path, header, tuple(filled[1:]), note)
