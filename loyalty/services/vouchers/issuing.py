"""Issuing vouchers: one, or one for each of many members, by the same statement as a batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Count, F, Q

from hotels.services.audit import record_audit
from loyalty.models import Membership, Voucher, VoucherEvent, VoucherType
from loyalty.rules.vouchers import last_day
from loyalty.selectors.vouchers import detailed_vouchers
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers.history import answered, event_values, request_facts, request_hash
from loyalty.services.vouchers.refusals import refused

if TYPE_CHECKING:
    from hotels.models import Property, User

# A batch of which a code exists already fails as a whole and is tried again: with 70 random bits that happens
# less often than a cosmic ray.
_INSERT = """
WITH made AS (
    INSERT INTO loyalty_voucher (
        public_id, code, type_id, membership_id, batch_id, batch_number, state, source, source_reference, issued_at,
        valid_from, expires_on, folio_reference)
    SELECT gen_random_uuid(), loyalty_voucher_code(r.random), %(type)s, r.membership_id, %(batch)s::bigint, r.number,
        'issued', %(source)s, %(source_reference)s, %(at)s, %(valid_from)s, %(expires_on)s::date, ''
    FROM (SELECT uuid_send(gen_random_uuid()) AS random, m.membership_id, {number} AS number FROM {rows} OFFSET 0) r
    RETURNING id, membership_id
), written AS (
    INSERT INTO loyalty_voucherevent (
        voucher_id, kind, at, actor_id, property_id, membership_id, reason, folio_reference,
        request_client, request_key, request_hash)
    SELECT id, 'issued', %(at)s, %(actor_id)s::bigint, %(property_id)s::bigint, membership_id, %(reason)s, '',
        %(request_client)s, %(request_key)s, %(request_hash)s
    FROM made
)
SELECT {result} FROM made
"""
_FOR_MEMBERS = _INSERT.format(
    rows="unnest(%(memberships)s::bigint[]) AS m (membership_id)", number="NULL::integer", result="id"
)
_FOR_BATCH = _INSERT.format(
    rows="(SELECT NULL::bigint AS membership_id, n FROM generate_series(%(first)s, %(last)s) n) m",
    number="m.n",
    result="count(*)",
)


def issue_voucher(
    *,
    actor: User | None,
    now: dt.datetime,
    type_id: int,
    membership_id: int | None,
    source: Voucher.Source = Voucher.Source.MANUAL,
    source_reference: str = "",
    place: Property | None = None,
    reason: str = "",
    request: RequestKey | None = None,
) -> Voucher:
    """Issue one voucher, to a member or to whoever carries it.

    Args:
        actor: Who issues it; None for the system.
        now: Aware instant.
        type_id: The type.
        membership_id: Whose it is; None for a bearer voucher.
        source: Why; `BATCH` is for batches.
        source_reference: What it comes from: a redemption, a campaign, a ticket.
        place: The property that issues it.
        reason: In the actor's words.
        request: The same key again returns the same voucher.

    Raises:
        VoucherRefused: `type_not_open`, `issue_limit`, `already_over`, `member_limit`, `other_programme`,
            `member_inactive`, `request_conflict`.
    """
    digest = request_hash("issue", type_id, membership_id, source, source_reference)
    with transaction.atomic():
        if event := answered(request, VoucherEvent.Kind.ISSUED, digest):
            return detailed_vouchers().get(pk=event.voucher_id)
        voucher_type = reserve(type_id=type_id, now=now, count=1)
        # Whoever sent the same request at the same time held the type until its voucher was there.
        if event := answered(request, VoucherEvent.Kind.ISSUED, digest):
            VoucherType.objects.filter(pk=type_id).update(issued_count=F("issued_count") - 1)
            return detailed_vouchers().get(pk=event.voucher_id)
        (voucher_id,) = _insert(
            voucher_type,
            [membership_id],
            actor=actor,
            now=now,
            source=source,
            source_reference=source_reference,
            place=place,
            reason=reason,
            request=request_facts(request, digest),
        )
        voucher = detailed_vouchers().get(pk=voucher_id)
        record_audit(
            actor=actor,
            now=now,
            action="voucher.issued",
            target=voucher,
            label=f"{voucher_type.code} {voucher}",
            place=place,
            after={"type": voucher_type.code, "membership": membership_id, "source": source},
            reason=reason,
        )
        return voucher


@transaction.atomic
def issue_vouchers(
    *,
    actor: User | None,
    now: dt.datetime,
    type_id: int,
    membership_ids: Sequence[int],
    source: Voucher.Source,
    source_reference: str = "",
    place: Property | None = None,
    reason: str = "",
) -> list[int]:
    """Issue one voucher to each of many members, by one statement.

    Args:
        actor: Who issues them; None for the system.
        now: Aware instant.
        type_id: The type.
        membership_ids: Members of the type's programme; one named twice gets two.
        source: Why.
        source_reference: What they come from.
        place: The property that issues them.
        reason: In the actor's words.

    Returns:
        Keys of the vouchers, in the order of the members.

    Raises:
        VoucherRefused: As for one; nothing is issued then.
    """
    if not membership_ids:
        return []
    voucher_type = reserve(type_id=type_id, now=now, count=len(membership_ids))
    ids = _insert(
        voucher_type,
        membership_ids,
        actor=actor,
        now=now,
        source=source,
        source_reference=source_reference,
        place=place,
        reason=reason,
        request={},
    )
    record_audit(
        actor=actor,
        now=now,
        action="voucher.issued_to_many",
        target=voucher_type,
        label=voucher_type.code,
        place=place,
        after={"count": len(ids), "source": source, "source_reference": source_reference},
        reason=reason,
    )
    return ids


def reserve(*, type_id: int, now: dt.datetime, count: int) -> VoucherType:
    """Take a number off what may still be issued of a type; holds the type until the transaction ends.

    Raises:
        VoucherRefused: `type_not_open`, `issue_limit`, `already_over`.
    """
    voucher_type = VoucherType.objects.select_related("programme").get(pk=type_id)
    today = voucher_type.programme.local_date(now)
    is_open = Q(is_active=True) & (Q(issue_from=None) | Q(issue_from__lte=today))
    is_open &= Q(issue_until=None) | Q(issue_until__gt=today)
    fits = Q(issue_limit=None) | Q(issue_limit__gte=F("issued_count") + count)
    taken = VoucherType.objects.filter(is_open & fits, pk=type_id).update(issued_count=F("issued_count") + count)
    if not taken:
        left = VoucherType.objects.filter(is_open, pk=type_id).values_list("issue_limit", "issued_count").first()
        if left is None:
            raise refused(code="type_not_open")
        raise refused(code="issue_limit", left=max(0, (left[0] or 0) - left[1]))
    # Terms as they stand now that nobody can change them any more.
    voucher_type.refresh_from_db()
    days = days_of(voucher_type, today)
    if days["expires_on"] is not None and days["expires_on"] < max(today, days["valid_from"]):
        raise refused(code="already_over")
    return voucher_type


def days_of(voucher_type: VoucherType, today: dt.date) -> dict[str, Any]:
    """First and last day of a voucher issued today."""
    valid_from = max(voucher_type.valid_from or today, today)
    return {
        "valid_from": valid_from,
        "expires_on": last_day(
            issued=today, type_expires_on=voucher_type.expires_on, days=voucher_type.valid_days, valid_from=valid_from
        ),
    }


def check_member_limit(voucher_type: VoucherType, membership_ids: Sequence[int | None]) -> None:
    """Count what members have of a type, those about to be given included; the type is held by the caller.

    Raises:
        VoucherRefused: `member_limit`.
    """
    limit = voucher_type.per_member_limit
    wanted: dict[int, int] = {}
    for membership_id in membership_ids:
        if membership_id is not None:
            wanted[membership_id] = wanted.get(membership_id, 0) + 1
    if limit is None or not wanted:
        return
    had = dict(
        Voucher.objects.filter(type=voucher_type, membership__in=wanted)
        .exclude(state=Voucher.State.CANCELED)
        .values_list("membership")
        .annotate(Count("pk"))
    )
    if any(had.get(membership_id, 0) + count > limit for membership_id, count in wanted.items()):
        raise refused(code="member_limit", limit=limit)


def check_members(voucher_type: VoucherType, membership_ids: Sequence[int | None]) -> None:
    """See that members may be given a voucher.

    Raises:
        VoucherRefused: `other_programme`, `member_inactive`.
    """
    wanted = {membership_id for membership_id in membership_ids if membership_id is not None}
    if not wanted:
        return
    found = Membership.objects.filter(pk__in=wanted).values_list("programme", "status").annotate(Count("pk"))
    if sum(count for programme_id, _, count in found if programme_id == voucher_type.programme_id) != len(wanted):
        raise refused(code="other_programme")
    if any(status != Membership.Status.ACTIVE for _, status, _ in found):
        raise refused(code="member_inactive")


def insert_for_batch(
    voucher_type: VoucherType,
    *,
    batch_id: int,
    first: int,
    last: int,
    days: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> int:
    """Issue the vouchers of a batch with numbers from `first` to `last`; returns how many."""
    parameters = {
        "type": voucher_type.pk,
        "batch": batch_id,
        "first": first,
        "last": last,
        "source": Voucher.Source.BATCH.value,
        "source_reference": "",
        **days,
        **facts,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FOR_BATCH, parameters)
        return int(cursor.fetchone()[0])


def _insert(
    voucher_type: VoucherType,
    membership_ids: Sequence[int | None],
    *,
    actor: User | None,
    now: dt.datetime,
    source: Voucher.Source,
    source_reference: str,
    place: Property | None,
    reason: str,
    request: Mapping[str, str],
) -> list[int]:
    check_members(voucher_type, membership_ids)
    check_member_limit(voucher_type, membership_ids)
    facts = event_values(
        VoucherEvent.Kind.ISSUED,
        at=now,
        actor_id=actor.pk if actor else None,
        property_id=place.pk if place else None,
        reason=reason[:200],
        **request,
    )
    parameters = {
        **facts,
        "type": voucher_type.pk,
        "batch": None,
        "memberships": list(membership_ids),
        "source": source.value,
        "source_reference": source_reference[:80],
        **days_of(voucher_type, voucher_type.programme.local_date(now)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FOR_MEMBERS, parameters)
        return [row[0] for row in cursor.fetchall()]
