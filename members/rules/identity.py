"""Normal forms, checks and masks of what identifies a guest.

Two spellings of the same phone, e-mail address or document must give the same normal form, because
uniqueness and search work on it. The dirt that spreadsheets add (full-width digits, `13800138000.0`,
`1.38001E+10`) is cleaned or refused here, so every door treats it alike.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from operator import mul
from typing import TYPE_CHECKING

import phonenumbers
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ID_CARD = "id_card"
DOCUMENT_TYPES = {
    ID_CARD: _("resident identity card"),
    "passport": _("passport"),
    "hk_macao_permit": _("mainland travel permit for Hong Kong and Macao residents"),
    "taiwan_permit": _("mainland travel permit for Taiwan residents"),
    "residence_permit": _("permanent residence permit"),
    "military_id": _("military identity card"),
    "other": _("other document"),
}

# GB 11643-1999: weights of the first 17 digits, and the check character by remainder modulo 11.
ID_CARD_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CARD_CHECK_CHARACTERS = "10X98765432"
ID_CARD_LENGTH = 18
OLD_ID_CARD_LENGTH = 15
CENTURIES = ("19", "20")

EMAIL_MAX_LENGTH = 254
NUMBER_MAX_LENGTH = 40
EXTERNAL_MAX_LENGTH = 80
DOCUMENT_LENGTHS = range(4, 31)
CN_MOBILE_LENGTH = 11
CN_MOBILE = re.compile(r"1[3-9]\d{9}")
# Addresses that a travel agency forwards: they change per booking, so they identify nobody.
RELAY_DOMAINS = ("guest.booking.com", "guest.airbnb.com", "guest.trip.com", "m.expediapartnercentral.com")

_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_](?:[\w-]*[^\W_])?")
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+")
_EXTENSION = re.compile(r"\s*(?:转|ext\.?|x|#)\s*\d{1,6}$", re.IGNORECASE)
_TRAILING_ZERO = re.compile(r"(?<=\d)\.0+$")
_ID_CARD_IN_FORM = re.compile(r"\d{17}[\dX]", re.ASCII)


def _mobile_in_use() -> re.Pattern[str]:
    """Mobile numbers of China's networks, as the parser's own tables have them."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("CN")
    mobile = metadata.mobile if metadata else None
    # Without tables nothing fits, and every number goes to the parser.
    return re.compile(rf"(?:\+86)?({mobile.national_number_pattern})" if mobile else r"(?!)", re.ASCII)


# What fits is a valid number as it stands, so nothing has to clean or to parse it.
_CN_MOBILE_IN_USE = _mobile_in_use()
# Spreadsheets put an apostrophe before a number kept as text; the others come from copying web pages.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202d\u2060\ufeff\u00ad"))


class IdentityError(ValueError):
    """The text is not a phone, e-mail address or document number.

    Attributes:
        code: Stable name of what is wrong.
        template: Translatable sentence saying what is wrong and what would be right, with `params` to fill in.
    """

    def __init__(self, *, code: str, message: StrOrPromise, params: Mapping[str, object] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.template = message
        self.params = dict(params or {})

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(self.template) % self.params


def clean_text(raw: str) -> str:
    """Half-width, without invisible characters and surrounding white space."""
    text = str(raw)
    if text.isascii():
        return text.strip().lstrip("'").strip()
    return unicodedata.normalize("NFKC", text).translate(_INVISIBLE).strip().lstrip("'’").strip()


def normalize_phone(raw: str, region: str = "CN") -> str:
    """The number in E.164, such as `+8613800138000`.

    Args:
        raw: As typed or as it stands in a sheet; `+86`, `0086` and `86` prefixes, spaces, hyphens,
            full-width digits and a trailing `.0` are understood.
        region: ISO 3166 code of the country whose numbers come without a country code.

    Raises:
        IdentityError: `phone_rounded` (a spreadsheet lost digits), `phone_length`, `phone_invalid`,
            `phone_placeholder`.
    """
    if region == "CN" and (plain := _CN_MOBILE_IN_USE.fullmatch(raw)) and len(set(plain[1][-8:])) > 1:
        return f"+86{plain[1]}"
    text = _EXTENSION.sub("", _TRAILING_ZERO.sub("", clean_text(raw)))
    if _SCIENTIFIC.fullmatch(text):
        raise IdentityError(
            code="phone_rounded", message=_("The spreadsheet rounded this number; its last digits are lost.")
        )
    digits = re.sub(r"\D", "", text)
    if not digits or not re.fullmatch(r"[\d\s()+\-–—./~]+", text):
        raise IdentityError(code="phone_invalid", message=_("This is not a telephone number."))
    if len(set(digits[-8:])) == 1:
        raise IdentityError(
            code="phone_placeholder", message=_("This looks like a placeholder, not a telephone number.")
        )
    if region == "CN" and not text.startswith("+"):
        text, digits = _chinese_mobile(text, digits)
    elif text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise IdentityError(code="phone_invalid", message=_("This is not a telephone number.")) from error
    if not phonenumbers.is_valid_number(number):
        if region == "CN" and digits.startswith("1") and not text.startswith("+"):
            if len(digits) == CN_MOBILE_LENGTH:
                raise IdentityError(code="phone_invalid", message=_("No network in China uses this number."))
            raise IdentityError(
                code="phone_length",
                message=_("A mobile number in China has 11 digits; this one has %(count)d."),
                params={"count": len(digits)},
            )
        raise IdentityError(code="phone_invalid", message=_("This is not a telephone number."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _chinese_mobile(text: str, digits: str) -> tuple[str, str]:
    """Cut the ways of writing the country code that only a mobile number makes unmistakable."""
    for prefix in ("0086", "86", "0"):
        rest = digits.removeprefix(prefix)
        if rest != digits and CN_MOBILE.fullmatch(rest):
            return rest, rest
    return ("+" + text[2:], digits) if text.startswith("00") else (text, digits)


def normalize_email(raw: str) -> str:
    """The address in lower case, full-width characters and white space cleaned.

    Raises:
        IdentityError: `email_invalid`, or `email_relay` for an agency's forwarding address.
    """
    text = clean_text(raw).removeprefix("mailto:").lower()
    if len(text) > EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(text) or ".." in text:
        raise IdentityError(code="email_invalid", message=_("This is not an e-mail address, such as name@example.com."))
    domain = text.rpartition("@")[2]
    if domain in RELAY_DOMAINS or domain.endswith(tuple(f".{relay}" for relay in RELAY_DOMAINS)):
        raise IdentityError(
            code="email_relay", message=_("A booking site's forwarding address does not identify a guest.")
        )
    return text


def normalize_document(document_type: str, raw: str) -> str:
    """The document number in capitals without separators; an old 15-digit ID card number in 18.

    Raises:
        IdentityError: `document_type_unknown`, `document_rounded`, `document_invalid`, `id_card_length`,
            `id_card_truncated`, `id_card_birthday`, `id_card_checksum`.
    """
    if document_type == ID_CARD and _ID_CARD_IN_FORM.fullmatch(raw):
        return _normalize_id_card(raw)
    if document_type not in DOCUMENT_TYPES:
        raise IdentityError(code="document_type_unknown", message=_("This kind of document is not known."))
    text = re.sub(r"[\s\-–—·._/()]", "", _TRAILING_ZERO.sub("", clean_text(raw))).upper()
    if _SCIENTIFIC.fullmatch(clean_text(raw)):
        raise IdentityError(
            code="document_rounded", message=_("The spreadsheet rounded this number; its last digits are lost.")
        )
    if document_type == ID_CARD:
        return _normalize_id_card(text)
    if not text.isascii() or not text.isalnum() or len(text) not in DOCUMENT_LENGTHS:
        raise IdentityError(code="document_invalid", message=_("A document number has 4 to 30 letters and digits."))
    return text


def _normalize_id_card(text: str) -> str:
    if re.fullmatch(r"\d{15}", text):
        if text[6:8] in CENTURIES:
            # Where an old number has the year of birth, a new one without its end has the century. Who was born in
            # 1919 or 1920 has no old card any more, so nothing is lost by not guessing.
            raise IdentityError(
                code="id_card_truncated",
                message=_("The last three characters of this ID card number are missing. Type the whole number."),
            )
        # GB 11643-1989 numbers wrote the year with two digits and had no check character.
        seventeen = text[:6] + "19" + text[6:]
        text = seventeen + id_card_check_character(seventeen)
    if not re.fullmatch(r"\d{17}[\dX]", text):
        raise IdentityError(
            code="id_card_length",
            message=_("An ID card number has 18 characters; this one has %(count)d."),
            params={"count": len(text)},
        )
    if id_card_birthday(text) is None:
        raise IdentityError(
            code="id_card_birthday", message=_("The birthday inside this ID card number does not exist.")
        )
    if id_card_check_character(text[:17]) != text[17]:
        raise IdentityError(
            code="document_rounded" if text.endswith("000") else "id_card_checksum",
            message=_("The last character of this ID card number does not fit the others: a digit is wrong."),
        )
    return text


def guess_document_type(raw: str) -> str:
    """The kind of document a number without a label is from: ID card, Chinese passport, or `other`."""
    text = re.sub(r"\s", "", clean_text(raw)).upper()
    if re.fullmatch(r"\d{17}[\dX]|\d{15}", text):
        return ID_CARD
    return "passport" if re.fullmatch(r"[EGDPS]\d{8}|E[A-Z]\d{7}", text) else "other"


def normalize_membership_number(raw: str) -> str:
    """A membership number in capitals without white space.

    Raises:
        IdentityError: `number_invalid`.
    """
    text = re.sub(r"\s", "", _TRAILING_ZERO.sub("", clean_text(raw))).upper()
    if not text or len(text) > NUMBER_MAX_LENGTH or not text.isprintable():
        raise IdentityError(code="number_invalid", message=_("This is not a membership number."))
    return text


def normalize_external_id(raw: str) -> str:
    """An id of another system, which only that system may interpret: surrounding white space is cut.

    Raises:
        IdentityError: `number_invalid`.
    """
    text = str(raw).strip()
    if not text or len(text) > EXTERNAL_MAX_LENGTH or not text.isprintable():
        raise IdentityError(code="number_invalid", message=_("This is not an id of another system."))
    return text


def id_card_check_character(seventeen_digits: str) -> str:
    """The 18th character by GB 11643-1999 (ISO 7064:1983, MOD 11-2)."""
    total = sum(map(mul, map(int, seventeen_digits), ID_CARD_WEIGHTS))
    return ID_CARD_CHECK_CHARACTERS[total % 11]


def id_card_birthday(number: str) -> dt.date | None:
    """The birthday in an 18-character ID card number, or None where the date does not exist."""
    try:
        return dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def id_card_gender(number: str) -> str:
    """`male` or `female`, from the sequence digit of an 18-character ID card number."""
    return "male" if int(number[16]) % 2 else "female"


def mask(kind: str, value: str) -> str:
    """What everybody may see of a normal form: `138 **** 6621`, `c***@example.com`, `110***********002X`.

    Args:
        kind: A value of `GuestIdentity.Kind`.
        value: The normal form.
    """
    if kind == "phone":
        return _mask_phone(value)
    if kind == "email":
        local, _at, domain = value.rpartition("@")
        return f"{local[:1]}***@{domain}"
    if kind == "document":
        return _mask_document(value)
    if kind in {"wechat_openid", "wechat_unionid"}:
        return f"{value[:4]}***"
    return value


def _mask_phone(value: str) -> str:
    national = value.removeprefix("+86")
    if CN_MOBILE.fullmatch(national):
        return f"{national[:3]} **** {national[-4:]}"
    digits = value.removeprefix("+")
    # At least four digits stay hidden: short numbers show less of their start.
    shown = max(0, min(4, len(digits) - 8))
    plus = "+" if shown and value.startswith("+") else ""
    return f"{plus}{digits[:shown]} **** {digits[-4:]}".strip()


def _mask_document(value: str) -> str:
    if len(value) == ID_CARD_LENGTH:
        return f"{value[:3]}{'*' * 11}{value[-4:]}"
    shown = 2 if len(value) >= 8 else 1  # noqa: PLR2004
    return f"{value[:shown]}{'*' * (len(value) - 2 * shown)}{value[-shown:]}"
