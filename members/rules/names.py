"""How a guest's name is spelled in pinyin, and the normal form in which names are stored and searched."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from pypinyin import Style, lazy_pinyin
from pypinyin.constants import PHRASES_DICT

# Characters read otherwise as a surname than in common words (现代汉语词典, 姓氏异读字).
SURNAME_READINGS = {
    "单": "shan", "單": "shan", "曾": "zeng", "仇": "qiu", "解": "xie", "盖": "ge", "蓋": "ge",
    "朴": "piao", "区": "ou", "區": "ou", "查": "zha", "乐": "yue", "樂": "yue", "覃": "qin", "员": "yun",
    "員": "yun", "么": "yao", "缪": "miao", "繆": "miao", "折": "she", "繁": "po", "种": "chong",
    "秘": "bi", "洗": "xian", "召": "shao", "翟": "zhai", "藏": "zang", "乜": "nie", "黑": "he",
    "不": "fou", "重": "chong", "长": "chang", "阚": "kan", "郇": "xun", "祭": "zhai", "卜": "bu",
    "句": "gou", "隗": "wei", "牟": "mu", "佴": "nai",
}  # fmt: skip
# Two-character surnames that the dictionary does not know, or that start with one of the above.
COMPOUND_SURNAMES = {
    "单于": "chan yu", "长孙": "zhang sun", "長孫": "zhang sun",
    "尉遲": "yu chi", "萬俟": "mo qi", "澹臺": "tan tai", "單于": "chan yu", "子车": "zi ju",
}  # fmt: skip

PINYIN_MAX_LENGTH = 240
INITIALS_MAX_LENGTH = 60
# U+00B7 is the standard middle dot of minority and transliterated names; sheets bring its look-alikes.
MIDDLE_DOT = "\u00b7"
_DOTS = re.compile(r"\s*[\u2022\u2027\u30fb\uff65\u2219\u22c5\u0387\u25cf\uff0e\u00b7]\s*")
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_PIECE = re.compile(rf"[{_HAN}]+|[^\W\d_{_HAN}]+(?:['’][^\W\d_{_HAN}]+)*|\d+")
_HAN_RUN = re.compile(rf"[{_HAN}]+")
# A name that is stored as it stands: common Chinese characters, or Latin words one space apart.
_STORED_AS_IT_IS = re.compile(r"[\u4e00-\u9fa5]+|[A-Za-z]+(?: [A-Za-z]+)*")
_NAME_CHARACTERS = 4
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])\s+(?=[{_HAN}])")


def clean_name(raw: str) -> str:
    """The name as it is stored: NFKC, one kind of middle dot, no stray white space.

    `张 三` is `张三`, `阿依古丽•买买提` is `阿依古丽·买买提`; the case of Latin names is kept.
    """
    if _STORED_AS_IT_IS.fullmatch(raw):
        return raw
    text = unicodedata.normalize("NFKC", _DOTS.sub(MIDDLE_DOT, str(raw)))
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return _BETWEEN_HAN.sub("", " ".join(_DOTS.sub(MIDDLE_DOT, text).split())).strip(MIDDLE_DOT + " ")


def pinyin_of(name: str) -> tuple[str, str]:
    """The name's full pinyin and its initials, both lower-case ASCII without spaces.

    `曾国藩` gives `("zengguofan", "zgf")`; a leading surname is read as a surname. A Latin name is
    lower-cased without accents: `José García` gives `("josegarcia", "jg")`. `ü` is written `v`.
    """
    syllables: list[str] = []
    for index, piece in enumerate(_PIECE.findall(clean_name(name))):
        if _HAN_RUN.fullmatch(piece):
            syllables.extend(_read_han(piece, is_start=index == 0))
        else:
            syllables.append(latin_key(piece))
    syllables = [syllable for syllable in syllables if syllable]
    return (
        "".join(syllables)[:PINYIN_MAX_LENGTH],
        "".join(syllable[0] for syllable in syllables)[:INITIALS_MAX_LENGTH],
    )


def _read_han(run: str, *, is_start: bool) -> list[str]:
    if is_start:
        reading = COMPOUND_SURNAMES.get(run[:2])
        if reading and len(run) > len(run[:2]):
            return [*reading.split(), *_read(run[2:])]
        if run[0] in SURNAME_READINGS:
            return [SURNAME_READINGS[run[0]], *_read(run[1:])]
    return _read(run)


def _read(run: str) -> list[str]:
    if len(run) <= _NAME_CHARACTERS and not any(
        run[start:end] in PHRASES_DICT for start in range(len(run) - 1) for end in range(start + 2, len(run) + 1)
    ):
        # No word of the dictionary in it, so each character is read by itself.
        return [syllable for character in run for syllable in _read_character(character)]
    return _read_words(run)


@lru_cache(maxsize=32_768)
def _read_character(character: str) -> list[str]:
    return _read_words(character)


def _read_words(run: str) -> list[str]:
    return [latin_key(s) for s in lazy_pinyin(run, style=Style.NORMAL, errors="ignore", v_to_u=False)] if run else []


def latin_key(text: str) -> str:
    """Letters and digits in lower-case ASCII, as the pinyin columns hold them.

    Accents fall away; `lü`, `lyu` and `lv` are one spelling of 吕 (passports write LYU), likewise `nü`.
    """
    text = text.lower().replace("ü", "v").replace("ß", "ss").replace("ø", "o").replace("ł", "l").replace("æ", "ae")
    decomposed = unicodedata.normalize("NFKD", text)
    ascii_only = "".join(c for c in decomposed if c.isascii() and c.isalnum())
    return re.sub(r"(?<![a-z])([ln])yu(?!e|a|n)", r"\1v", ascii_only)
