"""Settling a month between the properties of a programme, by the lots that its redemptions took.

Points that a property gave, and so paid for, are redeemed at another: the first owes the second what the points are
worth – the programme's settlement rate on the day of the redemption, else what the point cost. A canceled redemption
is owed back at the same rate. A posting is settled once, in the first month that is closed after it, so that what
comes late is in the next settlement; a closed one never changes. A property's own points at its own desk owe nobody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Sum

from hotels.models import ExchangeRate, Property
from hotels.services.audit import record_audit
from loyalty.models import Programme, SettlementItem, SettlementLine, SettlementRun
from loyalty.rules.exchange import CENT, Quote, RateTable
from loyalty.selectors.finance.movements import midnight

if TYPE_CHECKING:
    from hotels.models import User

# Redemptions, and what cancels one, that happened before the end and are in no settlement yet. A cancellation belongs
# where and when the points were redeemed.
UNSETTLED = """
    SELECT p.id, p.account_id, p.hold_id, coalesce(o.property_id, p.property_id) AS payee_id,
        (coalesce(o.occurred_at, p.occurred_at) AT TIME ZONE %(zone)s)::date AS on_date
    FROM loyalty_posting p
    JOIN loyalty_account a ON a.id = p.account_id
    LEFT JOIN loyalty_posting o ON o.id = p.reverses_id
    WHERE a.programme_id = %(programme)s AND a.unit = 'points' AND p.occurred_at < %(end)s
        AND (p.kind = 'redeem' OR (p.kind = 'refund' AND o.kind = 'redeem'))
        AND NOT EXISTS (SELECT FROM loyalty_settlementitem i WHERE i.posting_id = p.id AND i.account_id = p.account_id)
"""
# What was set aside before is taken when the hold is captured.
_TAKEN = """
    SELECT u.id, u.account_id, u.payee_id, u.on_date, v.lot_id, -v.open_delta AS points
    FROM unsettled u JOIN loyalty_lotmove v ON v.posting_id = u.id AND v.account_id = u.account_id
    UNION ALL
    SELECT u.id, u.account_id, u.payee_id, u.on_date, v.lot_id, -v.open_delta
    FROM unsettled u
    JOIN loyalty_hold h ON h.id = u.hold_id
    JOIN loyalty_lotmove v ON v.posting_id = h.placed_posting_id AND v.account_id = u.account_id
"""
DUE = f"""
    WITH unsettled AS MATERIALIZED ({UNSETTLED}), taken AS ({_TAKEN})
    SELECT q.account_id AS id, sum(abs(q.points))::bigint AS points
    FROM (
        SELECT t.account_id, sum(t.points) AS points
        FROM taken t JOIN loyalty_lot l ON l.id = t.lot_id
        WHERE l.funding_property_id <> t.payee_id
        GROUP BY t.account_id, t.id, l.funding_property_id HAVING sum(t.points) <> 0
    ) q
    WHERE NOT EXISTS (SELECT FROM loyalty_settlementrun r WHERE r.programme_id = %(programme)s
                      AND r.start_date = %(start_date)s AND r.closed_at IS NOT NULL)
    GROUP BY q.account_id
"""  # noqa: S608
_SETTLE = f"""
    WITH unsettled AS MATERIALIZED ({UNSETTLED} AND p.account_id = ANY(%(ids)s)), taken AS ({_TAKEN})
    INSERT INTO loyalty_settlementitem (run_id, account_id, posting_id, payer_id, payee_id, points, amount)
    SELECT %(run)s, t.account_id, t.id, l.funding_property_id, t.payee_id, sum(t.points),
        sum(t.points * coalesce(f.rate, l.unit_cost, %(point_value)s))
    FROM taken t
    JOIN loyalty_lot l ON l.id = t.lot_id
    LEFT JOIN LATERAL (
        SELECT r.rate FROM loyalty_settlementrate r
        WHERE r.programme_id = %(programme)s AND r.effective_from <= t.on_date
        ORDER BY r.effective_from DESC LIMIT 1) f ON true
    WHERE l.funding_property_id <> t.payee_id
    GROUP BY t.account_id, t.id, l.funding_property_id, t.payee_id HAVING sum(t.points) <> 0
    RETURNING abs(points)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in a programme's time zone, from its first day up to, and without, `end`."""

    start: dt.date
    end: dt.date


@dataclass(frozen=True, slots=True)
class Settled:
    """What one call settled: items written and their points without sign."""

    items: int
    points: int


def month_before(date: dt.date) -> Month:
    """The month that was over when the month of a date began."""
    end = date.replace(day=1)
    return Month((end - dt.timedelta(days=1)).replace(day=1), end)


def settlement_params(*, programme: Programme, month: Month) -> dict[str, Any]:
    """The named parameters of `UNSETTLED` and `DUE`."""
    return {
        "programme": programme.pk,
        "zone": programme.time_zone,
        "start_date": month.start,
        "end": midnight(programme, month.end),
    }


@transaction.atomic
def settle_accounts(*, now: dt.datetime, programme: Programme, month: Month, account_ids: Sequence[int]) -> Settled:
    """Write what some members' redemptions make properties owe each other; twice does no more than once.

    Args:
        now: Aware instant.
        programme: The accounts' programme.
        month: The month whose settlement they go into.
        account_ids: Whose redemptions.
    """
    run = _open_run(now, programme, month)
    params = settlement_params(programme=programme, month=month)
    with connection.cursor() as cursor:
        cursor.execute(
            _SETTLE, {**params, "run": run.pk, "ids": list(account_ids), "point_value": programme.point_value}
        )
        points = [row[0] for row in cursor.fetchall()]
    return Settled(len(points), sum(points))


@transaction.atomic
def close_settlement(*, actor: User | None, now: dt.datetime, programme: Programme, month: Month) -> SettlementRun:
    """Add the items of a month up, one line for each pair of properties, and close it; a closed one is left alone.

    Args:
        actor: Who closes it; None for the schedule.
        now: Aware instant.
        programme: Whose month.
        month: The month.
    """
    run = _open_run(now, programme, month)
    if run.closed_at is not None:
        return run
    sums = list(
        SettlementItem.objects.filter(run=run)
        .values_list("payer", "payee")
        .annotate(Sum("points"), Sum("amount"))
        .order_by("payer", "payee")
    )
    currencies = dict(Property.objects.values_list("pk", "currency"))
    rates = RateTable(Quote(*row) for row in ExchangeRate.objects.values_list(*Quote.__slots__))
    on_date = run.last_date
    lines = []
    for payer, payee, points, exact in sums:
        amount = Decimal(exact).quantize(CENT, ROUND_HALF_UP)
        if not points and not amount:
            # Redeemed and canceled within the month.
            continue
        line = SettlementLine(run=run, payer_id=payer, payee_id=payee, points=points, amount=amount)
        for side, place in (("payer", payer), ("payee", payee)):
            currency = currencies[place]
            rate = rates.unit_value(run.currency, currency, on_date)
            setattr(line, f"{side}_currency", currency)
            setattr(line, f"{side}_rate", None if rate is None else rate.quantize(Decimal("1e-8")))
            setattr(line, f"{side}_amount", None if rate is None else (amount * rate).quantize(CENT, ROUND_HALF_UP))
        lines.append(line)
    SettlementLine.objects.bulk_create(lines)
    run.closed_at, run.closed_by = now, actor
    run.save(update_fields=["closed_at", "closed_by"])
    record_audit(
        actor=actor,
        now=now,
        action="settlement.closed",
        target=run,
        label=f"{programme.code} {run}",
        after={"lines": len(lines), "amount": str(sum((line.amount for line in lines), Decimal(0)))},
    )
    return run


def _open_run(now: dt.datetime, programme: Programme, month: Month) -> SettlementRun:
    """The settlement of the month, made when it is first asked for, and locked."""
    SettlementRun.objects.get_or_create(
        programme=programme,
        start_date=month.start,
        defaults={"end_date": month.end, "currency": programme.currency, "created_at": now},
    )
    return SettlementRun.objects.select_for_update(no_key=True, of=("self",)).get(
        programme=programme, start_date=month.start
    )
