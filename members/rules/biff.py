"""How far the cells of an old Excel file reach, told without laying the sheet out in memory.

A file of two kilobytes may claim a cell in the last row and column; the reader of such sheets then asks for room
for all cells before it, and a server that cannot give it dies. So the records are walked first. Sources:
[MS-CFB] (the compound file) and [MS-XLS] (the records).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

# Records that put a value into a cell: FORMULA, MULRK, RSTRING, LABELSST, NUMBER, LABEL, BOOLERR, RK.
_CELLS = frozenset({0x0006, 0x00BD, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E})
_MULTIPLE, _SHEET, _END, _LOCKED = 0x00BD, 0x0085, 0x000A, 0x002F
_STREAMS = ("Workbook", "Book")
_DIRECTORY_ENTRY = 128
_NO_SECTOR = 0xFFFFFFFA  # this and above are marks, not sectors


class NotReadable(Exception):
    """The file is no compound file with a workbook in it, or damaged."""


def workbook_stream(data: bytes) -> bytes:
    """The bytes of the workbook inside a compound file.

    Raises:
        NotReadable: There is none.
    """
    try:
        return _Compound(data).stream()
    except (struct.error, IndexError, ValueError) as error:
        raise NotReadable from error


def is_locked(stream: bytes) -> bool:
    """Whether a password protects the workbook."""
    return any(kind == _LOCKED for kind, _start, _end in _records(stream, 0))


def spanned_cells(stream: bytes) -> int:
    """Cells of the largest rectangle from the first cell to the last value of any sheet."""
    # A sheet is read from where the list of sheets says it begins, wherever that is.
    starts = {0}
    for kind, start, end in _records(stream, 0):
        if kind == _SHEET and end - start >= 4:  # noqa: PLR2004 - an offset
            starts.add(struct.unpack_from("<I", stream, start)[0])
    return max(_span(stream, start) for start in starts)


def _span(stream: bytes, position: int) -> int:
    rows = columns = 0
    for kind, start, end in _records(stream, position):
        if kind in _CELLS and end - start >= 4:  # noqa: PLR2004 - row and column
            row, column = struct.unpack_from("<HH", stream, start)
            if kind == _MULTIPLE:
                column = max(column, struct.unpack_from("<H", stream, end - 2)[0])
            rows, columns = max(rows, row + 1), max(columns, column + 1)
    return rows * columns


def _records(stream: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Kind, first and last byte of each record's data, to the end of the stream."""
    while position + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, position)
        position += 4
        yield kind, position, min(position + length, len(stream))
        position += length


class _Compound:
    """A compound file: sectors chained by an allocation table, small streams in sectors of their own."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        shift, self.small_shift = struct.unpack_from("<HH", data, 30)
        self.size = 1 << min(shift, 12)
        first_directory, _signature, self.cutoff, first_small = struct.unpack_from("<IIII", data, 48)
        next_list = struct.unpack_from("<I", data, 68)[0]
        tables = list(struct.unpack_from("<109I", data, 76))
        seen: set[int] = set()
        while next_list < _NO_SECTOR and next_list not in seen:
            seen.add(next_list)
            *more, next_list = self._numbers(self._sector(next_list))
            tables += more
        self.table: list[int] = []
        for sector in tables:
            if sector < _NO_SECTOR:
                self.table += self._numbers(self._sector(sector))
        self.directory = self._chained(first_directory)
        self.small_table = self._numbers(self._chained(first_small)) if first_small < _NO_SECTOR else []

    def stream(self) -> bytes:
        entries = [self.directory[at : at + _DIRECTORY_ENTRY] for at in range(0, len(self.directory), _DIRECTORY_ENTRY)]
        for entry in entries:
            name = entry[: max(struct.unpack_from("<H", entry, 64)[0] - 2, 0)].decode("utf-16-le", "replace")
            start, size = struct.unpack_from("<II", entry, 116)
            if name not in _STREAMS:
                continue
            if size >= self.cutoff:
                return self._chained(start)[:size]
            small = self._chained(struct.unpack_from("<I", entries[0], 116)[0])
            width = 1 << min(self.small_shift, 12)
            sectors = self._chain(start, self.small_table)
            return b"".join(small[one * width : (one + 1) * width] for one in sectors)[:size]
        raise ValueError(_STREAMS)

    def _sector(self, number: int) -> bytes:
        return self.data[(number + 1) * self.size : (number + 2) * self.size]

    def _chained(self, start: int) -> bytes:
        return b"".join(self._sector(number) for number in self._chain(start, self.table))

    @staticmethod
    def _chain(start: int, table: Sequence[int]) -> Iterator[int]:
        seen: set[int] = set()
        while start < _NO_SECTOR and start not in seen:
            seen.add(start)
            yield start
            start = table[start]

    @staticmethod
    def _numbers(data: bytes) -> list[int]:
        return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))
