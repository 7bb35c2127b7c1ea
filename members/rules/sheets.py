"""Reading a sheet of guests: CSV in the encodings of Chinese offices, XLSX and XLS.

Whatever the file is, the reader either gives rows or raises `SheetError` with a sentence that says what
is wrong and what to do; sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, TYPE_CHECKING

import python_calamine
from django.utils.translation import gettext_lazy as _

from members.rules import biff
from members.rules.headers import HEADER_SEARCH_ROWS, find_header_row

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# A date comes as ISO text; a number stays a number, because 13800138000.0 and "13800138000.0" differ in
# what a spreadsheet may have lost.
Cell = str | int | float | bool

MAX_COLUMNS = 200
MAX_ROWS = 2_000_000
MAX_CELL_CHARACTERS = 32_767
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
# Cells of the rectangle that a workbook spans, empty ones included: a reader makes room for all of them.
MAX_SPANNED_CELLS = 20_000_000
BLOCK = 1024 * 1024

_FOREIGN_FORMATS = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x1f\x8b", "gzip"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf", "7z"),
    (b"{\\rtf", "RTF"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|table|meta|\?xml)", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CELL_ADDRESS = re.compile(rb"""\br=["'](?:([A-Z]{1,3})(\d{1,7})|(\d{1,7}))["']""")
_DELIMITERS = ",\t;|"


class SheetError(ValueError):
    """The file cannot be read as a sheet.

    Attributes:
        code: Stable name of what is wrong.
        template: Translatable sentence, with `params` to fill in.
    """

    def __init__(self, *, code: str, message: StrOrPromise, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.template = message
        self.params = params

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(self.template) % self.params


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet with its header found.

    Attributes:
        encoding: Character encoding of a CSV file, else `xlsx` or `xls`.
        headers: The header row; unnamed columns are empty strings.
        header_row: Its number as a spreadsheet shows it, from 1.
        rows: Number and cells of each row below that is not blank; reading on may raise `SheetError`.
    """

    encoding: str
    headers: list[str]
    header_row: int
    rows: Iterator[tuple[int, list[Cell]]]


def open_sheet(file: IO[bytes]) -> Sheet:
    """Open a file whatever its name says, and find its header.

    Args:
        file: Seekable, at most as large as the caller allows.

    Raises:
        SheetError: `empty`, `wrong_type`, `not_a_workbook`, `encrypted`, `damaged`, `unpacks_too_large`,
            `encoding_unknown`, `binary`, `cell_too_long`, `too_many_columns`, `too_many_rows`, `header_only`.
    """
    head = file.read(4096)
    if not head.strip(b" \t\r\n\x00"):
        raise SheetError(code="empty", message=_("The file is empty."))
    encoding, rows = _open(file, head)
    numbered = ((number, row) for number, row in _checked(rows) if any(cell != "" for cell in row))
    first = list(islice(numbered, HEADER_SEARCH_ROWS))
    if not first:
        raise SheetError(code="empty", message=_("The file has no filled cell."))
    position = find_header_row([[as_text(cell) for cell in row] for _number, row in first])
    header_row, header = first[position]
    headers = [as_text(cell) for cell in header]
    while headers and not headers[-1]:
        headers.pop()
    body = chain(first[position + 1 :], numbered)
    opening = list(islice(body, 1))
    if not opening:
        raise SheetError(code="header_only", message=_("The file has a header but no rows below it."))
    return Sheet(encoding=encoding, headers=headers, header_row=header_row, rows=chain(opening, body))


def as_text(cell: Cell) -> str:
    """The cell as a person reads it: `13800138000.0` of a spreadsheet is `13800138000`."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 10**15:
        return str(int(cell))
    return str(cell).strip()


def _open(file: IO[bytes], head: bytes) -> tuple[str, Iterator[list[Cell]]]:
    for magic, name in _FOREIGN_FORMATS:
        if head.startswith(magic):
            raise SheetError(
                code="wrong_type",
                message=_("This is a %(format)s file, not a sheet. Upload a CSV, XLSX or XLS file."),
                format=name,
            )
    file.seek(0)
    if head.startswith(b"PK"):
        _check_archive(file)
        file.seek(0)
        return "xlsx", _read_workbook(file)
    if head.startswith(_OLE):
        _check_old_workbook(file.read())
        file.seek(0)
        return "xls", _read_workbook(file)
    if _WEB_PAGE.match(head):
        raise SheetError(
            code="wrong_type",
            message=_("This is a web page with the name of a sheet. Open it in Excel or WPS and save it as XLSX."),
        )
    encoding = _detect_encoding(file, head)
    return encoding, _read_csv(file, encoding)


def _encrypted() -> SheetError:
    return SheetError(
        code="encrypted",
        message=_("The workbook is protected with a password. Save it without a password and upload it again."),
    )


def _damaged() -> SheetError:
    return SheetError(
        code="damaged",
        message=_("The workbook is damaged. Open it in Excel or WPS, save it again and upload the new file."),
    )


def _check_old_workbook(data: bytes) -> None:
    """Refuse what is locked, or would be laid out beyond measure, before the reader sees it."""
    if _ENCRYPTED_PACKAGE in data:
        raise _encrypted()
    try:
        stream = biff.workbook_stream(data)
    except biff.NotReadable as error:
        raise _damaged() from error
    if biff.is_locked(stream):
        raise _encrypted()
    if biff.spanned_cells(stream) > MAX_SPANNED_CELLS:
        raise _too_large()


def _too_large() -> SheetError:
    return SheetError(
        code="unpacks_too_large",
        message=_("The workbook unpacks to more than can be read. Split it, or save it as CSV."),
    )


def _check_archive(file: IO[bytes]) -> None:
    """Refuse what would unpack beyond measure, before the reader sees it."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise _damaged() from error
    names = {entry.filename for entry in entries}
    if any(entry.flag_bits & 1 for entry in entries):
        raise _encrypted()
    if "xl/workbook.xml" not in names and "xl/workbook.bin" not in names:
        raise SheetError(
            code="not_a_workbook", message=_("This archive is not a workbook. Upload a CSV, XLSX or XLS file.")
        )
    left = MAX_UNPACKED_BYTES
    for entry in entries:
        left -= _unpacked_size(file, entry, limit=left)


def _unpacked_size(file: IO[bytes], entry: zipfile.ZipInfo, *, limit: int) -> int:
    """Unpack an entry without keeping it: its directory may lie about the size.

    On the way, the addresses of a worksheet's cells tell how large a rectangle it spans.
    """
    too_large = _too_large()
    if entry.file_size > limit:
        raise too_large
    file.seek(entry.header_offset)
    fixed = file.read(30)
    file.seek(
        entry.header_offset + 30 + int.from_bytes(fixed[26:28], "little") + int.from_bytes(fixed[28:30], "little")
    )
    is_worksheet = entry.filename.startswith("xl/worksheets/") and entry.filename.endswith(".xml")
    inflate = zlib.decompressobj(-15) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    packed_left, size, span, tail = entry.compress_size, 0, (1, 1), b""
    while packed_left > 0 and (block := file.read(min(BLOCK // 16, packed_left))):
        packed_left -= len(block)
        while block:
            try:
                data = inflate.decompress(block, BLOCK) if inflate else block
            except zlib.error as error:
                raise _damaged() from error
            block = inflate.unconsumed_tail if inflate else b""
            size += len(data)
            if size > limit:
                raise too_large
            if is_worksheet:
                span = _widen(span, tail + data)
                tail = data[-24:]
                if span[0] * span[1] > MAX_SPANNED_CELLS:
                    raise too_large
    return size


def _widen(span: tuple[int, int], data: bytes) -> tuple[int, int]:
    rows, columns = span
    for letters, row, row_alone in set(_CELL_ADDRESS.findall(data)):
        rows = max(rows, int(row or row_alone))
        if letters:
            columns = max(columns, column_number(letters.decode()))
    return rows, columns


def column_number(letters: str) -> int:
    """Number of a spreadsheet's column from 1: `A` is 1, `AB` is 28."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(index: int) -> str:
    """A spreadsheet's name of the column at a position from 0: 0 is `A`, 27 is `AB`."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _read_workbook(file: IO[bytes]) -> Iterator[list[Cell]]:
    try:
        workbook = python_calamine.load_workbook(file)
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            if sheet.start is None:
                continue
            margin: list[Cell] = [""] * sheet.start[1]
            # Row by row: the whole sheet as Python's own objects would need many times its size.
            for row in sheet.iter_rows():
                yield margin + [_plain(value) for value in row]
            return
    except python_calamine.PasswordError as error:
        raise _encrypted() from error
    except python_calamine.CalamineError as error:
        raise _damaged() from error


def _plain(value: object) -> Cell:
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return str(value)
    if isinstance(value, str):
        return value.strip()
    return value if isinstance(value, bool | int | float) else str(value)


def _detect_encoding(file: IO[bytes], head: bytes) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            if _decodes(file, name):
                return name
            break
    else:
        for name in ("utf-8", "gb18030"):
            if _decodes(file, name):
                return name
    if b"\x00" in head:
        raise _binary()
    raise SheetError(
        code="encoding_unknown", message=_("The characters cannot be read. Save the file as “CSV UTF-8” and try again.")
    )


def _decodes(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _binary() -> SheetError:
    return SheetError(
        code="binary", message=_("This is not a text file: it contains NUL bytes. Upload a CSV, XLSX or XLS file.")
    )


def _read_csv(file: IO[bytes], encoding: str) -> Iterator[list[Cell]]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        opening = list(islice(text, 10))
        delimiter = max(_DELIMITERS, key=lambda mark: sum(line.count(mark) for line in opening))
        reader = csv.reader(_text_lines(chain(opening, text)), delimiter=delimiter)
        number = 0
        while True:
            number += 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _cell_too_long(number) from error
            yield [cell.strip() for cell in row]
    finally:
        # The file belongs to the caller; a wrapper that is collected would close it.
        if not file.closed:
            text.detach()


def _text_lines(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if "\x00" in line:
            raise _binary()
        yield line


def _cell_too_long(number: int) -> SheetError:
    return SheetError(
        code="cell_too_long",
        message=_("Row %(row)d has a cell of more than %(limit)d characters; a quotation mark may lack its partner."),
        row=number,
        limit=MAX_CELL_CHARACTERS,
    )


def _checked(rows: Iterator[Sequence[Cell]]) -> Iterator[tuple[int, list[Cell]]]:
    filled = 0
    for number, cells in enumerate(rows, start=1):
        row = list(cells)
        while row and row[-1] == "":
            row.pop()
        if len(row) > MAX_COLUMNS:
            raise SheetError(
                code="too_many_columns",
                message=_("Row %(row)d has %(count)d columns; at most %(limit)d can be read."),
                row=number,
                count=len(row),
                limit=MAX_COLUMNS,
            )
        if any(isinstance(cell, str) and len(cell) > MAX_CELL_CHARACTERS for cell in row):
            raise _cell_too_long(number)
        filled += bool(row)
        if filled > MAX_ROWS + HEADER_SEARCH_ROWS:
            raise SheetError(
                code="too_many_rows",
                message=_("The file has more than %(limit)d rows. Split it into several files."),
                limit=MAX_ROWS,
            )
        yield number, row
