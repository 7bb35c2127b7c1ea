"""Points for events as the ledger keeps them: given once for a member and reference, and taken back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loyalty.models import Posting, SourceKey
from loyalty.services.ledger import (
    AlreadyPosted,
    AlreadyReversed,
    MembershipInactive,
    Movement,
    SourceLine,
    Verb,
    post_movements,
)

if TYPE_CHECKING:
    from hotels.models import User

SYSTEM = "event"
# Until the earning rules know events: points by event.
EVENT_POINTS: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class EventDue:
    """One member and what happened: `reference` is unique for the event and member."""

    membership_id: int
    reference: str
    property_id: int | None = None


def award_events(
    *,
    actor: User | None,
    now: dt.datetime,
    programme_id: int,  # noqa: ARG001
    event: str,
    dues: Sequence[EventDue],
) -> int:
    """Give the points of an event; what was given before is passed over."""
    points = EVENT_POINTS.get(event, 0)
    if not points or not dues:
        return 0
    movements = [
        Movement(
            verb=Verb.EARN,
            kind=Posting.Kind.BONUS,
            lot_class="bonus",
            now=now,
            membership_id=due.membership_id,
            points=points,
            source=_source(event, due),
            explanation={"kind": Posting.Kind.BONUS, "event": event},
            property_id=due.property_id,
            actor_id=actor.pk if actor else None,
            pending_until=None,
        )
        for due in dues
    ]
    results = post_movements(movements, strict=False)
    for result in results:
        if result.error is not None and not isinstance(result.error, AlreadyPosted | MembershipInactive):
            raise result.error
    return sum(result.points for result in results if result.error is None)


def take_back_events(
    *,
    actor: User | None,
    now: dt.datetime,
    programme_id: int,
    event: str,
    dues: Sequence[EventDue],
    reason: str,
) -> int:
    """Reverse what was given for an event, by the recorded amounts; returns how many points."""
    if not dues:
        return 0
    lines = {(f"{event}/{due.reference}", str(due.membership_id)): due for due in dues}
    keys = SourceKey.objects.filter(
        programme=programme_id, system=SYSTEM, reference__in=[reference for reference, _line in lines]
    ).filter(kind__in=[Posting.Kind.BONUS, Posting.Kind.EARN])
    given = {(reference, line): pk for reference, line, pk in keys.values_list("reference", "line", "posting_id")}
    movements = [
        Movement(
            verb=Verb.REVERSE,
            now=now,
            membership_id=due.membership_id,
            posting_id=given[key],
            source=_source(event, due),
            explanation={"kind": Posting.Kind.CLAWBACK, "event": event, "reason": reason},
            actor_id=actor.pk if actor else None,
            reason=reason,
        )
        for key, due in lines.items()
        if key in given
    ]
    results = post_movements(movements, strict=False) if movements else []
    for result in results:
        if result.error is not None and not isinstance(result.error, AlreadyReversed):
            raise result.error
    return -sum(result.points for result in results if result.error is None)


def _source(event: str, due: EventDue) -> SourceLine:
    return SourceLine(SYSTEM, f"{event}/{due.reference}", str(due.membership_id))
