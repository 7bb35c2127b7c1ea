"""Pairs of guests who may be one person: the queue, one pair side by side, and what a new guest resembles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from members.models import Guest, GuestIdentity, GuestMerge, LinkageRun, MergeCandidate, Stay
from members.rules.linkage import in_words
from members.rules.names import clean_name, pinyin_of
from members.selectors.panels import GuestMark, guest_marks

if TYPE_CHECKING:
    from hotels.models import Property, User

PAGE_SIZE = 30
LIKELY_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Side:
    """One of two profiles, as it is shown beside the other."""

    guest: Guest
    mark: GuestMark | None
    identities: list[GuestIdentity]
    stay_count: int
    preference_count: int


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue."""

    candidate: MergeCandidate
    words: list[tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Likely:
    """A guest whom a new one resembles, and by what."""

    guest: Guest
    phone: str
    is_strong: bool
    words: list[str] = field(default_factory=list)


def queue_page(state: str, after: str) -> tuple[list[QueueRow], str]:
    """A page of the queue, the surest first, and where the next one begins.

    Args:
        state: A value of `MergeCandidate.State`.
        after: `weight_id` of the last row seen, or empty.
    """
    rows: QuerySet[MergeCandidate] = MergeCandidate.objects.filter(state=state).select_related("first", "second")
    if state in {MergeCandidate.State.OPEN, MergeCandidate.State.LATER}:
        rows = rows.filter(first__merged_into=None, second__merged_into=None)
    weight, _sep, pk = after.partition("_")
    try:
        position = (float(weight), int(pk))
    except ValueError:
        position = None
    if position is not None:
        rows = rows.filter(Q(weight__lt=position[0]) | Q(weight=position[0], pk__lt=position[1]))
    page = list(rows.order_by("-weight", "-pk")[: PAGE_SIZE + 1])
    has_next = len(page) > PAGE_SIZE
    page = page[:PAGE_SIZE]
    end = f"{page[-1].weight}_{page[-1].pk}" if has_next else ""
    return [QueueRow(row, in_words(row.evidence)) for row in page], end


def newest_run() -> LinkageRun | None:
    """The last search over everybody, if there was one."""
    return LinkageRun.objects.select_related("requested_by").order_by("-pk").first()


def next_candidate(seen: MergeCandidate | None) -> MergeCandidate | None:
    """The pair to look at after another one."""
    rows = MergeCandidate.objects.filter(
        state=MergeCandidate.State.OPEN, first__merged_into=None, second__merged_into=None
    ).select_related("first", "second")
    if seen is not None:
        rows = rows.exclude(pk=seen.pk)
    return rows.order_by("-weight", "-pk").first()


def sides(guests: Sequence[Guest]) -> list[Side]:
    """Profiles with what is needed to tell whether they are one person; numbers are masked."""
    ids = [guest.pk for guest in guests]
    marks = guest_marks(ids)
    identities: dict[int, list[GuestIdentity]] = {pk: [] for pk in ids}
    for identity in GuestIdentity.objects.filter(guest__in=ids).order_by("kind", "-is_primary", "pk"):
        identities[identity.guest_id].append(identity)
    return [
        Side(
            guest=guest,
            mark=marks.get(guest.pk),
            identities=identities[guest.pk],
            stay_count=Stay.objects.filter(guest=guest).exclude(status=Stay.Status.VOIDED).count(),
            preference_count=guest.preferences.count(),
        )
        for guest in guests
    ]


def candidate_of(first: Guest, second: Guest) -> MergeCandidate | None:
    """What the linkage found about two guests."""
    low, high = sorted([first.pk, second.pk])
    return MergeCandidate.objects.filter(first=low, second=high).first()


def likely_guests(*, name: str, phone: str = "", birthday: dt.date | None = None, company: str = "") -> list[Likely]:
    """Guests whom somebody about to be enrolled may be, the likeliest first.

    Exact phones, e-mail addresses and documents are refused by their unique constraint; here is what a
    constraint cannot know. The same name and birthday are strong evidence, the same name alone is weak.

    Args:
        name: As entered.
        phone: As entered; only whether a candidate's last four digits agree is looked at.
        birthday: Date of birth.
        company: Employer.
    """
    name = clean_name(name)
    pinyin = pinyin_of(name)[0]
    if not pinyin:
        return []
    found = list(
        Guest.objects.current()
        .filter(name_pinyin=pinyin)
        .order_by(F("last_stay_date").desc(nulls_last=True), "-pk")[: LIKELY_LIMIT * 10]
    )
    if birthday:
        found += list(
            Guest.objects.current()
            .filter(name_pinyin=pinyin, birthday=birthday)
            .exclude(pk__in=[guest.pk for guest in found])
            .order_by("-pk")[:LIKELY_LIMIT]
        )
    phones: dict[int, str] = {}
    for identity in GuestIdentity.objects.filter(guest__in=found, kind="phone").order_by("-is_primary", "pk"):
        phones.setdefault(identity.guest_id, identity.masked)
    digits = "".join(character for character in phone if character.isdigit())
    likely = []
    for guest in found:
        words = [_("Same name") if guest.name == name else _("Names that sound the same")]
        masked = phones.get(guest.pk, "")
        is_strong = birthday is not None and guest.birthday == birthday
        if is_strong:
            words.append(_("Same birthday"))
        if company and guest.company.casefold() == company.strip().casefold():
            words.append(_("Same company"))
        if len(digits) >= 4 and masked.endswith(digits[-4:]):  # noqa: PLR2004 - the last four
            words.append(_("Same last four digits of the phone"))
        if birthday and guest.birthday and not is_strong:
            continue
        likely.append(Likely(guest, masked, is_strong, words))
    likely.sort(key=lambda row: (row.is_strong, len(row.words)), reverse=True)
    return likely[:LIKELY_LIMIT]


def merges_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:  # noqa: ARG001
    """The panel of the card: profiles that went into this one, and pairs to be decided; two queries at most."""
    if not user.has_perm("members.merge_guests", place):
        return {"merges": [], "candidates": [], "actions": []}
    merges = list(
        GuestMerge.objects.filter(survivor=guest, undone_at=None).select_related("merged", "actor").order_by("-pk")[:5]
    )
    candidates = list(
        MergeCandidate.objects.filter(
            Q(first=guest) | Q(second=guest), state__in=[MergeCandidate.State.OPEN, MergeCandidate.State.LATER]
        )
        .filter(first__merged_into=None, second__merged_into=None)
        .select_related("first", "second")
        .order_by("-weight", "-pk")[:5]
    )
    return {
        "merges": merges,
        "candidates": [
            (row, row.second if row.first_id == guest.pk else row.first, in_words(row.evidence)) for row in candidates
        ],
        "actions": [],
    }
