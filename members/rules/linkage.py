"""What makes two profiles one person, in words and in numbers.

The linkage is Fellegi–Sunter's: each comparison adds log2(m ÷ u) to the weight, where m is how often true
duplicates agree so far, and u how often two strangers do. The figures are fixed, so that a small hotel gets
the same judgment as a large group, and the same one tomorrow; `bench/dedupe.py` measures what they are worth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from members.rules.identity import RELAY_DOMAINS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Above this weight somebody looks at a pair: even odds and better.
REVIEW_WEIGHT = 0.0
# Above this one, and with nothing that speaks against it, a pair is merged without asking.
CERTAIN_WEIGHT = 16.0
# Share of all pairs of guests that are one person: 3 in 100 guests of a hundred thousand.
PRIOR = 6e-7

# Comparison → its levels, best first: (code, m, u). The last level is disagreement; what is missing on
# either side says nothing.
LEVELS: Mapping[str, Sequence[tuple[str, float, float]]] = {
    "name": (
        ("name_same", 0.72, 0.0006),
        ("name_sound", 0.18, 0.0012),
        ("name_near", 0.07, 0.004),
        ("name_other", 0.03, 0.9942),
    ),
    "birthday": (
        ("birthday_same", 0.93, 0.00005),
        ("birthday_near", 0.05, 0.0015),
        ("birthday_other", 0.02, 0.99845),
    ),
    "phone": (
        ("phone_same", 0.30, 0.000001),
        ("phone_near", 0.25, 0.00001),
        ("phone_other", 0.45, 0.999989),
    ),
    "document": (
        ("document_same", 0.50, 0.0000005),
        ("document_near", 0.40, 0.000005),
        ("document_other", 0.10, 0.9999945),
    ),
    "email": (
        ("email_same", 0.40, 0.000002),
        ("email_near", 0.25, 0.00002),
        ("email_other", 0.35, 0.999978),
    ),
    "gender": (("gender_same", 0.97, 0.5), ("gender_other", 0.03, 0.5)),
    "company": (("company_same", 0.5, 0.004), ("company_other", 0.5, 0.996)),
}
# What speaks so clearly against one person that nothing is merged without somebody looking.
CONTRADICTIONS = frozenset({"birthday_other", "document_other", "gender_other", "name_other"})
# One of these has to agree for a merge without asking.
PROOFS = frozenset({"document_same", "document_near", "phone_same", "phone_near", "email_same", "email_near"})

WORDS: Mapping[str, StrOrPromise] = {
    "name_same": _("Same name"),
    "name_sound": _("Names that sound the same"),
    "name_near": _("Similar names"),
    "name_other": _("Different names"),
    "birthday_same": _("Same birthday"),
    "birthday_near": _("Birthdays that differ by one digit, or day and month exchanged"),
    "birthday_other": _("Different birthdays"),
    "phone_same": _("Same phone number"),
    "phone_near": _("Phone numbers that differ by one digit"),
    "phone_other": _("Different phone numbers"),
    "document_same": _("Same document number"),
    "document_near": _("Document numbers that differ by one character or were cut off"),
    "document_other": _("Different document numbers"),
    "email_same": _("Same e-mail address"),
    "email_near": _("Similar e-mail addresses"),
    "email_other": _("Different e-mail addresses"),
    "gender_same": _("Same gender"),
    "gender_other": _("Different genders"),
    "company_same": _("Same company"),
    "company_other": _("Different companies"),
}

# Numbers that stand in many profiles because nobody asked for the guest's own.
PLACEHOLDER_ENDINGS = ("12345678", "23456789", "00000000", "11111111", "88888888", "99999999")
SERVICE_NUMBERS = ("+86400", "+86800")
SHORT_NUMBER_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Pair:
    """Two guests who may be one person, the smaller id first, with the weight and the codes of `WORDS`."""

    first_id: int
    second_id: int
    weight: float
    evidence: tuple[str, ...]

    @property
    def is_certain(self) -> bool:
        """Whether they may be merged without somebody looking."""
        found = set(self.evidence)
        return self.weight >= CERTAIN_WEIGHT and bool(found & PROOFS) and not found & CONTRADICTIONS


def phone_identifies(number: str, switchboards: Collection[str] = ()) -> bool:
    """Whether a number in E.164 belongs to one person: no switchboard, service number or placeholder.

    Args:
        number: Such as `+8613800138000`.
        switchboards: Numbers in E.164 that many guests gave: of companies, agencies, the hotel itself.
    """
    digits = number.lstrip("+")
    return not (
        number in switchboards
        or number.startswith(SERVICE_NUMBERS)
        or len(digits) <= SHORT_NUMBER_LENGTH
        or digits.endswith(PLACEHOLDER_ENDINGS)
        or len(set(digits[-8:])) == 1
    )


def email_identifies(address: str, relay_domains: Collection[str] = RELAY_DOMAINS) -> bool:
    """Whether an address belongs to one person: an agency's relay changes per booking."""
    domain = address.rpartition("@")[2].lower()
    return bool(domain) and not any(domain == relay or domain.endswith(f".{relay}") for relay in relay_domains)


def in_words(evidence: Sequence[str]) -> list[tuple[bool, str]]:
    """Each piece of evidence as (whether it speaks for one person, a few words), in the active language."""
    return [(not code.endswith("_other"), str(WORDS[code])) for code in evidence if code in WORDS]
