"""What the cells of one row of a guest sheet say, and what is wrong with them.

Excel keeps 15 significant digits, shows long numbers as 1.38E+10 and turns text into dates; where digits
were lost the row is refused with the reason, never completed by a guess.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from babel import Locale
from django.utils.translation import gettext_lazy as _

from members.rules.identity import (
    DOCUMENT_TYPES,
    ID_CARD,
    IdentityError,
    clean_text,
    normalize_document,
    normalize_email,
    normalize_membership_number,
    normalize_phone,
)
from members.rules.names import clean_name
from members.rules.sheets import Cell, as_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NAME_LENGTH = 120
COMPANY_LENGTH = 120
REMARK_LENGTH = 200
EARLIEST_BIRTHDAY = dt.date(1900, 1, 1)
# A date that was formatted as a number: days since 1899-12-30; these are the years 1905 to 2064.
SERIAL_DATES = range(2_000, 60_000)
EXCEL_EPOCH = dt.date(1899, 12, 30)
EXCEL_DIGITS = 15

_EMPTY = {"-", "--", "—", "——", "/", "\\", "无", "空", "null", "none", "nil", "n/a", "nan", "未填", "未知", "不详"}
_EXCEL_ERRORS = {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
_QUOTED_FORMULA = re.compile(r'="([^"]*)"')
_NEUTRALIZED = re.compile(r"'(?=[=+\-@＝＋－＠])")
_DATE = re.compile(r"(\d{4})\s*[年/.\-]\s*(\d{1,2})\s*[月/.\-]\s*(\d{1,2})\s*日?(?:[ T].*)?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")

_GENDERS = {
    "female": "女 女性 女士 小姐 太太 夫人 f female woman ms mrs miss",
    "male": "男 男性 先生 m male man mr",
    "": "保密 其他 其它 unknown other u x",
}
GENDERS = {word: gender for gender, words in _GENDERS.items() for word in words.split()}

_DOCUMENTS = {
    ID_CARD: "身份证 居民身份证 二代身份证 二代证 中国居民身份证 idcard identitycard residentidentitycard id",
    "passport": "护照 外国护照 中国护照 passport",
    "hk_macao_permit": "港澳通行证 回乡证 港澳居民来往内地通行证 港澳居民居住证 hkmacaopermit homereturnpermit",
    "taiwan_permit": "台胞证 台湾通行证 台湾居民来往大陆通行证 台湾居民居住证 taiwanpermit",
    "residence_permit": "外国人永久居留证 外国人永久居留身份证 永久居留证 外国人居留许可 residencepermit",
    "military_id": "军官证 士兵证 军人证 警官证 武警证 militaryid",
    "other": "其他 其它 其他证件 驾驶证 驾照 户口本 other",
}
DOCUMENTS = {word: kind for kind, words in _DOCUMENTS.items() for word in words.split()}

# Names in use that the Unicode list spells otherwise.
_COUNTRY_NAMES = {
    "中国大陆": "CN", "大陆": "CN", "中华人民共和国": "CN", "mainland china": "CN", "prc": "CN", "chinese": "CN",
    "中国香港": "HK", "香港": "HK", "hong kong": "HK", "中国澳门": "MO", "澳门": "MO", "macau": "MO", "macao": "MO",
    "中国台湾": "TW", "台湾": "TW", "taiwan": "TW", "usa": "US", "america": "US", "american": "US", "美利坚": "US",
    "uk": "GB", "england": "GB", "great britain": "GB", "british": "GB", "korea": "KR", "south korea": "KR",
    "大韩民国": "KR", "南韩": "KR", "russian federation": "RU", "uae": "AE", "阿联酋": "AE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellError:
    """What is wrong with a row, and in which column.

    Attributes:
        field: Field of `members.rules.headers.FIELDS`, or empty for the whole row.
        code: Stable name of what is wrong.
        template: Translatable sentence, with `params` to fill in.
    """

    field: str
    code: str
    template: StrOrPromise
    params: Mapping[str, object] = dataclass_field(default_factory=dict)


@dataclass(slots=True)
class GuestRow:
    """One row in the terms of the guest services: identities are normal forms."""

    name: str = ""
    phone: str = ""
    email: str = ""
    document_type: str = ""
    document_number: str = ""
    gender: str = ""
    birthday: dt.date | None = None
    nationality: str = ""
    company: str = ""
    membership_number: str = ""
    remark: str = ""
    errors: list[CellError] = dataclass_field(default_factory=list)


class CellRefused(ValueError):
    """What the cell holds cannot be taken; the same facts as in a `CellError`."""

    def __init__(self, *, code: str, message: StrOrPromise, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.template = message
        self.params = params


def read_row(
    cells: Sequence[Cell], columns: Mapping[str, int], *, today: dt.date, is_workbook: bool, region: str = "CN"
) -> GuestRow:
    """Read one row; what is wrong stands in `errors`, one entry a field.

    Args:
        cells: The row as the reader gave it; may be shorter than the header.
        columns: Field name → position of its column.
        today: Birthdays after this date are refused.
        is_workbook: Whether the file told text from numbers, as workbooks do.
        region: ISO 3166 code of the country whose phone numbers come without a country code.
    """
    row = GuestRow()

    def read(name: str, parse: Callable[[Cell], Any]) -> Any:
        position = columns.get(name)
        if position is None or position >= len(cells) or cells[position] == "":
            return None
        cell = cells[position]
        try:
            cell = _literal(cell)
            return parse(cell) if cell != "" else None
        except (CellRefused, IdentityError) as error:
            row.errors.append(CellError(name, error.code, error.template, error.params))
            return None

    row.name = read("name", _name) or ""
    row.phone = read("phone", lambda cell: normalize_phone(as_text(cell), region)) or ""
    row.email = read("email", lambda cell: normalize_email(as_text(cell))) or ""
    row.gender = read("gender", _gender) or ""
    row.birthday = read("birthday", lambda cell: parse_birthday(cell, today=today))
    row.nationality = read("nationality", _nationality) or ""
    row.company = read("company", lambda cell: _text(cell, COMPANY_LENGTH)) or ""
    row.membership_number = read("member_no", lambda cell: normalize_membership_number(as_text(cell))) or ""
    row.remark = read("remark", lambda cell: _text(cell, REMARK_LENGTH)) or ""
    _read_document(row, read, is_workbook=is_workbook)
    if not row.name and not any(error.field == "name" for error in row.errors):
        row.errors.append(CellError("name", "name_missing", _("The name is missing.")))
    if not (row.phone or row.email or row.document_number or row.membership_number or row.errors):
        row.errors.append(
            CellError(
                "",
                "identity_missing",
                _("Give a phone, e-mail, document or membership number, so that the guest can be found again."),
            )
        )
    return row


def _literal(cell: Cell) -> Cell:
    """The cell without what spreadsheets put around text; empty for the ways of writing “nothing”."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text[:1].isalnum() and text.isascii() and text.lower() not in _EMPTY:
        return text
    if text.startswith("=") and (quoted := _QUOTED_FORMULA.fullmatch(text)):
        text = quoted[1].strip()
    text = _NEUTRALIZED.sub("", text, count=1) if text.startswith("'") else text
    if text.lower() in _EMPTY:
        return ""
    if text.startswith("#") and text.upper() in _EXCEL_ERRORS:
        raise CellRefused(
            code="excel_error",
            message=_("The cell holds the spreadsheet's error %(text)s instead of a value."),
            text=text,
        )
    if text.startswith(("=", "＝")):
        raise CellRefused(code="formula", message=_("The cell holds a formula. Paste its value instead."))
    return text


def _text(cell: Cell, limit: int) -> str:
    text = as_text(cell)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())
    if len(text) > limit:
        raise CellRefused(
            code="too_long",
            message=_("At most %(limit)d characters fit; there are %(count)d."),
            limit=limit,
            count=len(text),
        )
    return text


def _name(cell: Cell) -> str:
    name = clean_name(_text(cell, 10 * NAME_LENGTH))
    if len(name) > NAME_LENGTH:
        raise CellRefused(
            code="too_long",
            message=_("At most %(limit)d characters fit; there are %(count)d."),
            limit=NAME_LENGTH,
            count=len(name),
        )
    if name and not any(c.isalpha() for c in name):
        raise CellRefused(
            code="name_invalid", message=_("A name has letters; this looks like a number from another column.")
        )
    return name


def _word(cell: Cell) -> str:
    return re.sub(r"[\s.,()（）_\-]", "", clean_text(as_text(cell))).lower()


def _gender(cell: Cell) -> str:
    gender = GENDERS.get(as_text(cell))
    if gender is None:
        gender = GENDERS.get(_word(cell))
    if gender is None:
        raise CellRefused(code="gender_unknown", message=_("Write male or female."))
    return gender


def parse_birthday(cell: Cell, *, today: dt.date) -> dt.date:
    """A date as `2026年06月01日`, `2026/6/1`, `2026-06-01`, `20260601` or a spreadsheet's serial number.

    Raises:
        CellRefused: `date_invalid`, `date_missing` from the calendar, `birthday_impossible`.
    """
    text = clean_text(as_text(cell))
    serial = int(text) if text.isdecimal() else 0
    match = _DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)
    if serial in SERIAL_DATES:
        birthday = EXCEL_EPOCH + dt.timedelta(days=serial)
    elif match is None:
        raise CellRefused(code="date_invalid", message=_("Write the date as year-month-day, such as 1990-06-01."))
    else:
        try:
            birthday = dt.date(*map(int, match.groups()))
        except ValueError as error:
            raise CellRefused(code="date_missing", message=_("There is no such day in the calendar.")) from error
    if not EARLIEST_BIRTHDAY <= birthday <= today:
        raise CellRefused(code="birthday_impossible", message=_("A birthday lies between 1900 and today."))
    return birthday


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    names = dict(_COUNTRY_NAMES)
    for language in ("zh_Hans", "en"):
        for code, name in Locale.parse(language).territories.items():
            if len(code) == 2 and code.isalpha():  # noqa: PLR2004
                names.setdefault(name.lower(), code)
                names.setdefault(code.lower(), code)
    return names


@lru_cache(maxsize=1024)
def _nationality(cell: Cell) -> str:
    text = clean_text(as_text(cell)).lower()
    names = _countries()
    code = names.get(text) or names.get(text.removesuffix("籍").removesuffix("人"))
    if code is None:
        raise CellRefused(
            code="country_unknown", message=_("This country is not known. Write its usual name or its two-letter code.")
        )
    return code


def _read_document(row: GuestRow, read: Callable[..., Any], *, is_workbook: bool) -> None:
    kind = read("document_type", _document_type)
    found: list[tuple[str, str]] = []
    for name, column_kind in ((ID_CARD, ID_CARD), ("passport", "passport"), ("document_number", kind)):
        number = read(name, lambda cell, k=column_kind: _document(cell, k, is_workbook=is_workbook))
        if number:
            found.append(number)
    if len(set(found)) > 1:
        row.errors.append(
            CellError(
                "document_number",
                "two_documents",
                _("The row has two documents. Keep one; the other can be added at the desk."),
            )
        )
    elif found:
        row.document_type, row.document_number = found[0]


def _document_type(cell: Cell) -> str:
    word = _word(cell)
    kind = DOCUMENTS.get(word) or (word if word in DOCUMENT_TYPES else None)
    if kind is None:
        raise CellRefused(
            code="document_type_unknown",
            message=_("This kind of document is not known. Write ID card or passport, for example."),
        )
    return kind


def _document(cell: Cell, kind: str | None, *, is_workbook: bool) -> tuple[str, str]:
    text = as_text(cell)
    if (not isinstance(cell, str) and sum(map(str.isdigit, text)) > EXCEL_DIGITS) or (
        len(text) == 18 and text.endswith("000") and text.isdecimal() and not is_workbook  # noqa: PLR2004
    ):
        raise CellRefused(
            code="document_rounded",
            message=_(
                "Excel keeps 15 digits, so the last three of this number are lost. "
                "Format the column as text and type the number again."
            ),
        )
    if not kind:
        try:
            return ID_CARD, normalize_document(ID_CARD, text)
        except IdentityError:
            if len(re.sub(r"[^0-9Xx]", "", text)) in {15, 18}:
                raise
            raise CellRefused(
                code="document_type_missing",
                message=_("Say in a column which kind of document this number belongs to."),
            ) from None
    return kind, normalize_document(kind, text)
