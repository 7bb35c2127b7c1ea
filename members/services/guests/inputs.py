"""What a door says about a guest, and what has to be right about it before anything is written."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from members.models import Consent, Guest, GuestIdentity
from members.rules import identity as rules
from members.rules.names import clean_name, pinyin_of
from members.services import vault

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Kind = GuestIdentity.Kind
ENCRYPTED_KINDS = frozenset({Kind.PHONE, Kind.EMAIL, Kind.DOCUMENT})
LAST4_KINDS = frozenset({Kind.PHONE, Kind.DOCUMENT})
PROFILE_FIELDS = ("name", "gender", "birthday", "nationality", "language", "company")
OLDEST_BIRTHDAY = dt.date(1900, 1, 1)
GENDERS = frozenset(Guest.Gender.values)
PROFILE_LIMITS = {
    name: Guest._meta.get_field(name).max_length  # type: ignore[union-attr]
    for name in (*PROFILE_FIELDS, "name_pinyin", "name_initials")
}
UNIQUE_IDENTITY = "members_guestidentity_unique"

IDENTITY_TAKEN_MESSAGES = {
    Kind.PHONE: _("Another guest has this phone already."),
    Kind.EMAIL: _("Another guest has this e-mail address already."),
    Kind.DOCUMENT: _("Another guest has this document already."),
    Kind.MEMBERSHIP: _("Another guest has this membership number already."),
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field: a stable code, and a translatable sentence with its parameters."""

    code: str
    template: StrOrPromise
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.template) % dict(self.params)


class GuestInputError(Exception):
    """The facts given about a guest cannot be stored.

    Attributes:
        problems: What is wrong, by field name.
    """

    code = "guest_invalid"

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        super().__init__(", ".join(f"{name}: {problem.code}" for name, problem in problems.items()))
        self.problems = dict(problems)

    @property
    def errors(self) -> dict[str, str]:
        """A sentence for each wrong field, in the active language."""
        return {name: str(problem) for name, problem in self.problems.items()}


class IdentityTaken(Exception):
    """Another guest has this phone, e-mail address, document or number.

    Attributes:
        kind: A value of `GuestIdentity.Kind`.
        guest: The guest who has it, so that the door can open the profile instead.
    """

    code = "identity_taken"

    def __init__(self, kind: str, guest: Guest) -> None:
        super().__init__(f"{kind} of guest {guest.pk}")
        self.kind = kind
        self.guest = guest

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(IDENTITY_TAKEN_MESSAGES.get(Kind(self.kind), _("Another guest has this number already.")))


@dataclass(frozen=True, kw_only=True)
class ConsentInput:
    """One answer of a guest, as it was given."""

    purpose: str
    granted: bool
    text_version: str
    channel: str = Consent.Channel.ANY


@dataclass(frozen=True, kw_only=True)
class GuestInput:
    """The facts of one guest as a door received them; every text may still be dirty.

    Attributes:
        document_type: A key of `members.rules.identity.DOCUMENT_TYPES`; guessed from the number if empty.
        membership_number: A number given by this or an earlier programme.
        region: Country whose telephone numbers come without a country code.
    """

    name: str
    phone: str = ""
    email: str = ""
    document_type: str = ""
    document_number: str = ""
    gender: str = ""
    birthday: dt.date | None = None
    nationality: str = ""
    language: str = ""
    company: str = ""
    membership_number: str = ""
    region: str = "CN"

    is_normal: ClassVar[bool] = False


class NormalGuestInput(GuestInput):
    """Facts read by `members.rules.cells`: identities are normal forms, texts are clean and fit."""

    is_normal = True


@dataclass(frozen=True, slots=True)
class IdentityValue:
    """One identity in its normal form, with what finds and shows it."""

    kind: str
    issuer: str
    normal: str
    index: bytes
    last4: bytes | None
    masked: str

    @property
    def key(self) -> tuple[str, str, bytes]:
        """What must be unique over the group."""
        return (self.kind, self.issuer, self.index)

    @property
    def stored(self) -> bytes:
        """What the database keeps: encrypted anew at each call where the kind is personal."""
        plain = self.normal.encode()
        return vault.encrypt(plain) if self.kind in ENCRYPTED_KINDS else plain


@dataclass
class CheckedGuest:
    """Facts that passed every check, in normal form."""

    profile: dict[str, Any]
    identities: list[IdentityValue]


def check_guest(row: GuestInput, *, today: dt.date) -> CheckedGuest:
    """Bring the facts into normal form.

    Args:
        row: As received.
        today: A birthday after it is refused.

    Raises:
        GuestInputError: with every wrong field.
    """
    problems: dict[str, Problem] = {}
    identities = _check_identities(row, problems)
    gender, birthday = row.gender, row.birthday
    if row.document_number and "document_number" not in problems and _document_type(row) == rules.ID_CARD:
        number = row.document_number if row.is_normal else rules.normalize_document(rules.ID_CARD, row.document_number)
        gender = gender or rules.id_card_gender(number)
        birthday = birthday or rules.id_card_birthday(number)
    if row.is_normal and not problems and row.name and (not birthday or OLDEST_BIRTHDAY <= birthday <= today):
        pinyin, initials = pinyin_of(row.name)
        return CheckedGuest(
            {
                "name": row.name,
                "name_pinyin": pinyin,
                "name_initials": initials,
                "gender": gender,
                "birthday": birthday,
                "nationality": row.nationality,
                "language": row.language,
                "company": row.company,
            },
            identities,
        )
    profile = check_profile(
        {
            "name": row.name,
            "gender": gender,
            "birthday": birthday,
            "nationality": row.nationality,
            "language": row.language,
            "company": row.company,
        },
        today=today,
        problems=problems,
    )
    if problems:
        raise GuestInputError(problems)
    return CheckedGuest(profile, identities)


def _check_identities(row: GuestInput, problems: dict[str, Problem]) -> list[IdentityValue]:
    if row.is_normal:
        return [
            normal_identity(kind, issuer, normal)
            for kind, issuer, normal in (
                (Kind.PHONE, "", row.phone),
                (Kind.EMAIL, "", row.email),
                (Kind.DOCUMENT, row.document_type, row.document_number),
                (Kind.MEMBERSHIP, "", row.membership_number),
            )
            if normal
        ]
    identities = []
    for name, kind, issuer, raw in (
        ("phone", Kind.PHONE, "", row.phone),
        ("email", Kind.EMAIL, "", row.email),
        ("document_number", Kind.DOCUMENT, _document_type(row), row.document_number),
        ("membership_number", Kind.MEMBERSHIP, "", row.membership_number),
    ):
        if not raw or not str(raw).strip():
            continue
        try:
            identities.append(identity_value(kind, issuer, raw, region=row.region))
        except rules.IdentityError as error:
            problems[name] = Problem(error.code, error.template, error.params)
    return identities


def _document_type(row: GuestInput) -> str:
    return row.document_type or rules.guess_document_type(row.document_number)


def identity_value(kind: str, issuer: str, raw: str, *, region: str = "CN") -> IdentityValue:
    """Normalize, index and mask one identity.

    Raises:
        rules.IdentityError: the text is not of this kind.
    """
    return normal_identity(kind, issuer, normalize_identity(kind, issuer, raw, region=region))


def normal_identity(kind: str, issuer: str, normal: str) -> IdentityValue:
    """An identity whose normal form is known."""
    return IdentityValue(
        kind=str(kind),
        issuer=issuer,
        normal=normal,
        index=vault.blind_index(kind, normal),
        last4=vault.last4_index(kind, normal) if kind in LAST4_KINDS else None,
        masked=rules.mask(kind, normal),
    )


def normalize_identity(kind: str, issuer: str, raw: str, *, region: str = "CN") -> str:
    """The normal form of an identity of any kind.

    Raises:
        rules.IdentityError: the text is not of this kind.
    """
    if kind == Kind.PHONE:
        return rules.normalize_phone(raw, region)
    if kind == Kind.EMAIL:
        return rules.normalize_email(raw)
    if kind == Kind.DOCUMENT:
        return rules.normalize_document(issuer, raw)
    if kind == Kind.MEMBERSHIP:
        return rules.normalize_membership_number(raw)
    return rules.normalize_external_id(raw)


def check_profile(values: Mapping[str, Any], *, today: dt.date, problems: dict[str, Problem]) -> dict[str, Any]:
    """Clean profile fields and add what is wrong to `problems`; the name brings its pinyin along.

    Args:
        values: Some or all of `PROFILE_FIELDS`.
        today: A birthday after it is refused.
        problems: Receives what is wrong, by field name.
    """
    profile: dict[str, Any] = {}
    if "name" in values:
        profile["name"] = clean_name(values["name"] or "")
        profile["name_pinyin"], profile["name_initials"] = pinyin_of(profile["name"])
        if not profile["name"]:
            problems["name"] = Problem("name_missing", _("A guest needs a name."))
    if "birthday" in values:
        profile["birthday"] = values["birthday"]
        if profile["birthday"] and not OLDEST_BIRTHDAY <= profile["birthday"] <= today:
            problems["birthday"] = Problem("birthday_impossible", _("The birthday lies before 1900 or in the future."))
    for name in {"gender", "nationality", "language", "company"} & values.keys():
        profile[name] = rules.clean_text(values[name]) if values[name] else ""
    if profile.get("gender", "") not in GENDERS:
        problems["gender"] = Problem("gender_unknown", _("The gender is female, male or not stated."))
    if "nationality" in profile:
        profile["nationality"] = profile["nationality"].upper()
        if profile["nationality"] and not re.fullmatch(r"[A-Z]{2}", profile["nationality"]):
            problems["nationality"] = Problem("nationality_invalid", _("Use the two-letter country code, such as CN."))
    for name, value in profile.items():
        limit = PROFILE_LIMITS[name]
        if limit and len(value) > limit and name not in problems:
            problems[name] = Problem("too_long", _("At most %(count)d characters."), {"count": limit})
        elif isinstance(value, str) and "\x00" in value:
            problems[name] = Problem("not_text", _("This contains a character that cannot be stored."))
    return profile


def is_identity_taken(error: IntegrityError) -> bool:
    """Whether the database refused because another guest has the identity."""
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", None) == UNIQUE_IDENTITY


def holder_of(identities: list[IdentityValue]) -> IdentityTaken | None:
    """The refusal that names the guest who has the first of these identities that is taken."""
    keys = {identity.key for identity in identities}
    rows = GuestIdentity.objects.filter(value_index__in=[key[2] for key in keys]).select_related("guest").order_by("pk")
    for row in rows:
        if (row.kind, row.issuer, bytes(row.value_index)) in keys:
            return IdentityTaken(row.kind, row.guest)
    return None
