"""What a receptionist may have meant by the text in the search box."""

from __future__ import annotations

import re
from dataclasses import dataclass

from members.rules.identity import clean_text
from members.rules.names import clean_name, latin_key

MIN_DIGITS = 4
QUERY_MAX_LENGTH = 80
_HAN = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_NAME_AND_TAIL = re.compile(r"(?P<name>[^\d@]*[^\W\d_][^\d@]*?)\s*(?P<tail>\d{4})")
_DIGITS_ONLY = re.compile(r"\+?[\d\s()\-]+")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]*")


@dataclass(frozen=True)
class SearchTerms:
    """The readings of one query; a reading that makes no sense is empty.

    Attributes:
        text: The query, cleaned.
        digits: Digits of a phone or document, at least four: the whole number or its end.
        code: A room, booking, membership or document number, in capitals.
        name: Characters of a name in lower case, Chinese or of another script.
        pinyin: Pinyin, initials or a Latin name as the pinyin columns hold it.
        tail: Last four digits given after a name or its pinyin.
    """

    text: str
    digits: str = ""
    code: str = ""
    name: str = ""
    pinyin: str = ""
    tail: str = ""


def read_query(query: str) -> SearchTerms:
    """Take a query apart: `6621`, `138 0013 8000`, `陈思`, `csy`, `chen siyuan`, `陈6621`, `1208`, `GK0012`."""
    text = clean_text(query[:QUERY_MAX_LENGTH]).replace("\x00", "")
    if not text:
        return SearchTerms("")
    digits = re.sub(r"\D", "", text) if _DIGITS_ONLY.fullmatch(text) else ""
    tail = ""
    name_text = text
    named = _NAME_AND_TAIL.fullmatch(text)
    if named:
        name_text, tail = named["name"], named["tail"]
    has_letters = any(c.isalpha() for c in name_text) and "@" not in text
    is_name = has_letters and not any(c.isdigit() for c in name_text)
    has_han = bool(_HAN.search(name_text))
    return SearchTerms(
        text=text,
        digits=digits if len(digits) >= MIN_DIGITS else "",
        code=re.sub(r"\s", "", text).upper() if _CODE.fullmatch(text) else "",
        name=clean_name(name_text).lower() if is_name else "",
        pinyin=latin_key(name_text) if is_name and not has_han else "",
        tail=tail,
    )


def grams(name: str) -> list[str]:
    """The pairs of neighboring characters of each word, as the database function `members_name_grams` makes them."""
    return sorted({word[i : i + 2] for word in name.split() for i in range(len(word) - 1)})


def prefix_end(prefix: str) -> str:
    """The smallest text above every text that starts with `prefix`, in code point order.

    `prefix` must be ASCII, so that its last character has a successor.
    """
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
