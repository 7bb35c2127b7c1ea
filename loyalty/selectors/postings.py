"""Statements of a member's points: every movement, or one line for each stay."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, Sum

from loyalty.models import Membership, Posting, SourceKey
from loyalty.rules.earning import ledger_reference
from loyalty.rules.explain import explain, explain_stay, name_of
from members.models import Stay

# Movements that follow from a stay and share its line.
STAY_KINDS = (Posting.Kind.EARN, Posting.Kind.BONUS, Posting.Kind.CLAWBACK)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of points; `posting` has its property loaded, `sentence` is in the active language."""

    posting: Posting
    sentence: str


@dataclass(frozen=True, slots=True)
class StayLine:
    """One stay and what it brought: corrections, rebates and a void are in the sum.

    Attributes:
        stay: With its property loaded.
        points: Points of the stay as they stand now, pending ones included.
        pending_until: Date on which the newest points of the stay are released; None if they are open.
        sentence: Why, in the active language; empty where the stay brought nothing.
        postings: The movements behind the line, oldest first.
    """

    stay: Stay
    points: int = 0
    pending_until: dt.date | None = None
    sentence: str = ""
    postings: list[Posting] = field(default_factory=list)


def statement(
    *, membership_id: int, before_seq: int | None = None, limit: int = 20, kinds: Sequence[str] = ()
) -> list[StatementLine]:
    """The movements of a membership's points, newest first; one query.

    Args:
        membership_id: Whose points.
        before_seq: Continue below this entry: the `seq` of the last line of the page before.
        limit: Lines to return.
        kinds: Only these values of `Posting.Kind`; all of them if empty.
    """
    postings = Posting.objects.filter(account__membership=membership_id, account__unit="points")
    if before_seq is not None:
        postings = postings.filter(seq__lt=before_seq)
    if kinds:
        postings = postings.filter(kind__in=kinds)
    return [
        StatementLine(posting, sentence_of(posting))
        for posting in postings.select_related("property").order_by("-seq")[:limit]
    ]


def sentence_of(posting: Posting) -> str:
    """What a posting did and why, in one sentence of the active language."""
    return explain(posting.explanation, kind=posting.kind, points=posting.points, reason=posting.reason)


def stay_lines(*, membership: Membership, before: Stay | None = None, limit: int = 20) -> list[StayLine]:
    """One line for each stay of a member, newest departure first; four queries.

    Args:
        membership: Whose stays.
        before: Continue below this stay, the last one of the page before.
        limit: Lines to return.
    """
    stays = Stay.objects.filter(guest=membership.guest_id)
    if before is not None:
        stays = stays.filter(
            Q(departure_date__lt=before.departure_date) | Q(departure_date=before.departure_date, pk__lt=before.pk)
        )
    page = list(stays.select_related("property").order_by("-departure_date", "-pk")[:limit])
    return points_of_stays(membership=membership, stays=page)


def points_of_stays(*, membership: Membership, stays: Sequence[Stay]) -> list[StayLine]:
    """What some stays brought a member, in the order of the stays; three queries."""
    references = {
        stay.pk: (stay.source_system, ledger_reference(stay.property_id, stay.source_reference)) for stay in stays
    }
    postings = postings_by_source(
        programme_id=membership.programme_id, sources=list(references.values()), membership_id=membership.pk
    )
    lines = []
    for stay in stays:
        mine = postings.get(references[stay.pk], [])
        pending = [lot.release_on for posting in mine for lot in posting.lots.all() if lot.state == "pending"]
        lines.append(
            StayLine(
                stay=stay,
                points=sum(posting.points for posting in mine),
                pending_until=max((day for day in pending if day), default=None),
                sentence=_sentence_of_stay(mine),
                postings=mine,
            )
        )
    return lines


def _sentence_of_stay(postings: Sequence[Posting]) -> str:
    """Why the stay brought what it brought; its entries may be several where another funds a part."""
    entries = [
        (posting.explanation or {}, _points_of_step(posting, postings)) for posting in _newest_of_shares(postings)
    ]
    if len(entries) > 1:
        return explain_stay(entries)
    if not entries or "stay" not in entries[0][0]:
        return sentence_of(postings[-1]) if entries else ""
    return explain(entries[0][0], points=entries[0][1])


def _points_of_step(newest: Posting, postings: Sequence[Posting]) -> int:
    """The points of one correction, which may take back several earnings of the stay."""
    step = newest.explanation or {}
    if newest.kind != Posting.Kind.CLAWBACK:
        return newest.points
    return sum(posting.points for posting in postings if posting.kind == newest.kind and posting.explanation == step)


def _newest_of_shares(postings: Sequence[Posting]) -> list[Posting]:
    return list({share_of(posting): posting for posting in postings}.values())


def awarded_parts(line: StayLine) -> list[dict[str, Any]]:
    """What each rule brought for a stay as it stands now, with its name in the active language.

    Each has `name`, `rate`, `lines` (references), `amount` and `points`.
    """
    return [
        {
            "name": part["name"] if isinstance(part["name"], str) else name_of(part["name"]),
            "rate": part["rate"],
            "lines": part.get("lines", []),
            "amount": part.get("amount", "0.00"),
            "points": part["points"],
        }
        for posting in _newest_of_shares(line.postings)
        for part in (posting.explanation or {}).get("parts", [])
    ]


def share_of(posting: Posting) -> tuple[bool, int | None]:
    """Which part of a stay's points an entry belongs to: bonus kept apart or not, and who else pays."""
    share = (posting.explanation or {}).get("share") or {}
    return bool(share.get("bonus")), share.get("funded_by")


def points_of_source(*, programme_id: int, source_system: str) -> int:
    """Points that the stays of one source system have brought all members of a programme."""
    ids = SourceKey.objects.filter(programme=programme_id, system=source_system, kind__in=STAY_KINDS)
    return Posting.objects.filter(pk__in=ids.values("posting_id")).aggregate(total=Sum("points"))["total"] or 0


def postings_by_source(
    *, programme_id: int, sources: Sequence[tuple[str, str]], membership_id: int | None = None
) -> dict[tuple[str, str], list[Posting]]:
    """The earnings and take-backs of source documents, oldest first, with their lots.

    Args:
        programme_id: The programme.
        sources: Pairs of source system and reference.
        membership_id: Only what this member got or gave back; everybody's if None.
    """
    by_system: dict[str, list[str]] = defaultdict(list)
    for system, reference in sources:
        by_system[system].append(reference)
    wanted = Q(reference__in=[])
    for system, references in by_system.items():
        wanted |= Q(system=system, reference__in=references)
    keys = SourceKey.objects.filter(wanted, programme=programme_id, kind__in=STAY_KINDS)
    if membership_id is not None:
        keys = keys.filter(account__membership=membership_id)
    ids = keys.values_list("posting_id", flat=True)
    found: dict[tuple[str, str], list[Posting]] = defaultdict(list)
    for posting in Posting.objects.filter(pk__in=list(ids)).prefetch_related("lots").order_by("pk"):
        found[posting.source_system, posting.source_reference].append(posting)
    return found
