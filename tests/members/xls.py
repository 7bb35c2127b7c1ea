"""A real .xls: Excel 97–2003, BIFF8 records in an OLE2 compound file ([MS-XLS], [MS-CFB]).

No library of the project writes the format, so the tests do, as far as a sheet of cells needs it.
"""

import datetime as dt
import struct

SECTOR = 512
FREE, END, FAT_SECTOR = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
GENERAL, DATE = 0, 1  # positions of the cell formats below
EPOCH = dt.date(1899, 12, 30)


def record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def text(value: str, length: str) -> bytes:
    """A Unicode string: its length, a flag for two bytes a character, the characters."""
    return struct.pack(f"<{length}B", len(value), 1) + value.encode("utf-16-le")


def workbook_stream(rows, name: str, *, encrypted: bool) -> bytes:
    begin = struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6)
    strings = list(dict.fromkeys(cell for row in rows for cell in row if isinstance(cell, str) and cell))
    table = struct.pack("<II", len(strings), len(strings)) + b"".join(text(value, "H") for value in strings)
    formats = b"".join(
        record(0x00E0, struct.pack("<HHH", 0, number_format, 1) + bytes(14)) for number_format in (0, 14)
    )
    lock = record(0x002F, struct.pack("<HHH", 1, 1, 1) + bytes(48)) if encrypted else b""
    opening = record(0x0809, begin) + lock + record(0x0042, struct.pack("<H", 1200)) + formats
    closing = record(0x00FC, table) + record(0x000A)
    sheet_entry = struct.pack("<BB", 0, 0) + text(name, "B")
    offset = len(opening) + 4 + 4 + len(sheet_entry) + len(closing)
    cells = b""
    for row_number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell in {"", None}:
                continue
            if isinstance(cell, str):
                place = struct.pack("<HHH", row_number, column, GENERAL)
                cells += record(0x00FD, place + struct.pack("<I", strings.index(cell)))
                continue
            is_date = isinstance(cell, dt.date)
            number = float((cell - EPOCH).days if is_date else cell)
            place = struct.pack("<HHH", row_number, column, DATE if is_date else GENERAL)
            cells += record(0x0203, place + struct.pack("<d", number))
    size = struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows), default=0), 0)
    sheet_begin = struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6)
    return (
        opening
        + record(0x0085, struct.pack("<I", offset) + sheet_entry)
        + closing
        + record(0x0809, sheet_begin)
        + record(0x0200, size)
        + cells
        + record(0x000A)
    )


def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    """An entry of the compound file's directory: 128 bytes."""
    encoded = name.encode("utf-16-le") + b"\0\0" if name else b""
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(encoded), kind, 1, FREE, FREE, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def make_xls(rows, *, name: str = "宾客", encrypted: bool = False) -> bytes:
    """A file with one sheet of strings, numbers and dates."""
    stream = workbook_stream(rows, name, encrypted=encrypted)
    # Streams below 4,096 bytes would lie elsewhere.
    stream = stream.ljust(max(4096, -(-len(stream) // SECTOR) * SECTOR), b"\0")
    sectors = len(stream) // SECTOR
    chain = [FAT_SECTOR, END, *range(3, 2 + sectors), END]
    assert len(chain) <= SECTOR // 4, "one sector of the allocation table is enough for a test"
    table = struct.pack(f"<{SECTOR // 4}I", *chain, *[FREE] * (SECTOR // 4 - len(chain)))
    directory = (
        entry("Root Entry", 5, 1, END, 0) + entry("Workbook", 2, FREE, 2, len(stream)) + 2 * entry("", 0, FREE, 0, 0)
    )
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x003E, 3, 0xFFFE, 9, 6)
        + bytes(6)
        + struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, END, 0, END, 0)
        + struct.pack("<109I", 0, *[FREE] * 108)
    )
    return header + table + directory + stream
