"""Roll-forward, liability and settlement: they tie to postings and lots, whatever happened; a closed month stays."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Sum
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import AuditEntry, ExchangeRate
from loyalty.models import (
    Account,
    Hold,
    JobRun,
    Lot,
    LotMove,
    Posting,
    SettlementItem,
    SettlementLine,
    SettlementRate,
    SettlementRun,
)
from loyalty.selectors.finance.liability import liability
from loyalty.selectors.finance.roll_forward import roll_forward
from loyalty.services import jobs, ledger
from loyalty.services.ledger import LedgerError
from tests.factories import NOW, make_guest, make_membership, make_programme, make_property

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
MAY, JUNE, JULY, AUGUST = (dt.date(2026, month, 1) for month in (5, 6, 7, 8))


@pytest.fixture
def programme():
    return make_programme(point_value="0.02")


@pytest.fixture
def places():
    return [make_property(), make_property(), make_property()]


def open_account(programme):
    return ledger.open_account(membership_id=make_membership(programme, make_guest()).pk)


def earn(account, points, place, *, now=NOW, **fields):
    fields = {"expires_on": None, "pending_until": None, "unit_cost": Decimal("0.01"), **fields}
    return ledger.earn_points(
        actor=None, now=now, account_id=account, points=points, property_id=place and place.pk, **fields
    ).posting_id


def redeem(account, points, place, *, now=NOW):
    return ledger.redeem_points(actor=None, now=now, account_id=account, points=points, property_id=place.pk).posting_id


def cancel(posting, *, now=NOW, place=None):
    return ledger.cancel_redemption_posting(
        actor=None, now=now, posting_id=posting, property_id=place and place.pk
    ).posting_id


def settle(programme, month_after=JULY, *, now=None):
    now = now or dt.datetime.combine(month_after, dt.time(9), tzinfo=NOW.tzinfo)
    return jobs.run_job(now=now, job=JobRun.Job.SETTLE, run_date=month_after, programme_id=programme.pk)


def lines():
    return list(
        SettlementLine.objects.order_by("run", "payer", "payee").values_list("payer", "payee", "points", "amount")
    )


# Settlement


def test_who_funded_the_points_pays_whom_they_were_redeemed_at(programme, places):
    a, b, c = places
    account = open_account(programme)
    earn(account, 300, a, expires_on=dt.date(2027, 1, 1))
    earn(account, 500, b, expires_on=dt.date(2027, 2, 1), unit_cost=None)
    redeem(account, 700, c)
    redeem(account, 50, b)

    assert settle(programme).points == 700

    # The lot's cost, or where it has none the programme's value of a point; a property's own points owe nobody.
    assert lines() == [(a.pk, c.pk, 300, Decimal("3.00")), (b.pk, c.pk, 400, Decimal("8.00"))]
    run = SettlementRun.objects.get()
    assert (run.start_date, run.end_date, run.currency) == (JUNE, JULY, "CNY")
    assert run.closed_at is not None
    assert AuditEntry.objects.filter(action="settlement.closed").count() == 1


def test_the_rate_of_the_day_of_the_redemption_counts_also_when_it_is_canceled(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a)
    SettlementRate.objects.create(programme=programme, effective_from=NOW.date(), rate="0.05")
    SettlementRate.objects.create(programme=programme, effective_from=NOW.date() + 3 * DAY, rate="0.09")
    redeem(account, 100, b, now=NOW - DAY)
    canceled = redeem(account, 200, b)
    redeem(account, 10, b, now=NOW + 3 * DAY)
    cancel(canceled, now=NOW + 30 * DAY, place=a)

    settle(programme)
    settle(programme, AUGUST)

    assert lines() == [(a.pk, b.pk, 310, Decimal("11.90")), (a.pk, b.pk, -200, Decimal("-10.00"))]


def test_a_captured_hold_owes_for_what_was_set_aside(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a)
    hold = ledger.place_hold(
        actor=None, now=NOW, account_id=account, points=400, hold_until=NOW + DAY, property_id=b.pk
    )
    ledger.capture_hold(actor=None, now=NOW, hold_id=hold.hold_id, points=250, property_id=b.pk)

    settle(programme)

    assert lines() == [(a.pk, b.pk, 250, Decimal("2.50"))]


def test_what_is_canceled_within_the_month_owes_nobody(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a)
    cancel(redeem(account, 400, b))

    settle(programme)

    assert lines() == []
    assert SettlementItem.objects.count() == 2


def test_a_closed_month_stays_and_what_comes_late_is_in_the_next(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a, now=NOW - 40 * DAY)
    redeem(account, 100, b)
    settle(programme)
    # Posted now, for a day of the month that is closed.
    redeem(account, 70, b, now=NOW + DAY)

    assert settle(programme).points == 0
    assert settle(programme, AUGUST).points == 70

    june, july = SettlementRun.objects.order_by("start_date")
    assert [run.lines.get().points for run in (june, july)] == [100, 70]
    assert SettlementItem.objects.values("posting").distinct().count() == SettlementItem.objects.count() == 2


def test_the_database_refuses_changes_of_a_closed_month(programme, places):
    a, b, c = places
    account = open_account(programme)
    earn(account, 1000, a)
    redeem(account, 100, b)
    settle(programme)
    run, item, line = SettlementRun.objects.get(), SettlementItem.objects.get(), SettlementLine.objects.get()
    copy = {"run": run, "payer": a, "payee": c, "points": 1, "amount": 1}
    currencies = {"payer_currency": "CNY", "payee_currency": "CNY"}
    refused = [
        lambda: SettlementRun.objects.update(closed_at=None),
        lambda: SettlementRun.objects.update(currency="USD"),
        lambda: SettlementItem.objects.update(points=F("points") + 1),
        lambda: SettlementLine.objects.update(amount=0),
        lambda: SettlementItem.objects.all()._raw_delete("default"),
        lambda: SettlementLine.objects.all()._raw_delete("default"),
        lambda: SettlementRun.objects.all()._raw_delete("default"),
        lambda: SettlementItem.objects.create(**copy, account_id=account, posting_id=item.posting_id),
        lambda: SettlementLine.objects.create(**copy, **currencies),
    ]
    for change in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    assert SettlementLine.objects.get().amount == line.amount


def test_the_amount_in_a_propertys_own_currency_keeps_its_rate(programme, places):
    a, _b, _c = places
    abroad, remote = make_property(currency="USD"), make_property(currency="XAU")
    ExchangeRate.objects.create(currency="USD", to_currency="CNY", effective_from=MAY, rate=8)
    account = open_account(programme)
    earn(account, 1000, a, unit_cost=Decimal("0.1"))
    redeem(account, 400, abroad)
    redeem(account, 400, remote)

    settle(programme)

    line, unknown = SettlementLine.objects.order_by("payee")
    assert (line.amount, line.payer_amount, line.payer_rate) == (40, 40, 1)
    assert (line.payee_currency, line.payee_amount, line.payee_rate) == ("USD", 5, Decimal("0.125"))
    assert (unknown.payee_amount, unknown.payee_rate) == (None, None)


def test_the_command_closes_a_month_once(programme, places, capsys):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a)
    redeem(account, 100, b)

    for _ in range(2):
        call_command("settle", "--month", "2026-06")

    out = capsys.readouterr().out
    assert "settled 100 points of 1 accounts" in out
    assert "settled 0 points of 0 accounts" in out
    assert SettlementLine.objects.count() == 1
    assert JobRun.objects.get(job=JobRun.Job.SETTLE).figures == {"items": 1, "lines": 1}


def test_a_redemption_that_fails_keeps_the_month_open(programme, places, monkeypatch):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a)
    redeem(account, 100, b)

    def fail(**_facts):
        message = "no"
        raise ValueError(message)

    with monkeypatch.context() as patch:
        patch.setattr("loyalty.services.jobs.settlement.settle_accounts", fail)
        assert settle(programme).failed == 1
    assert not SettlementRun.objects.filter(closed_at__isnull=False).exists()

    run = jobs.start_run(actor=None, now=NOW + 30 * DAY, job=JobRun.Job.SETTLE, programme=programme, run_date=JULY)
    run.errors.all().delete()
    assert settle(programme).points == 100
    assert SettlementLine.objects.get().points == 100


# Roll-forward and liability


def test_a_month_is_rolled_forward_by_who_funded_the_points(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a, now=NOW - 40 * DAY, expires_on=NOW.date() + DAY)
    earn(account, 200, b, pending_until=dt.date(2026, 12, 1))
    redeemed = redeem(account, 300, b)
    cancel(redeemed)
    redeem(account, 100, b)
    ledger.adjust_points(actor=None, now=NOW, account_id=account, points=50, reason="x", property_id=b.pk)
    ledger.expire_lots(now=NOW + 2 * DAY, account_id=account)

    found = roll_forward(programme=programme, start=JUNE, end=JULY)

    assert found.ties
    rows = {row.place and row.place.pk: row for row in found.rows}
    assert (rows[a.pk].opening, rows[a.pk].closing) == (1000, 0)
    assert {part: n for part, n in rows[a.pk].cells if n} == {"redeemed": -400, "returned": 300, "expired": -900}
    assert {part: n for part, n in rows[b.pk].cells if n} == {"issued": 200, "adjusted": 50}
    assert (found.total.opening, found.total.closing) == (1000, 250)


def test_what_is_set_aside_is_still_owed_and_a_debt_has_its_row(programme, places):
    a, _b, _c = places
    account = open_account(programme)
    first = earn(account, 100, a)
    ledger.place_hold(actor=None, now=NOW, account_id=account, points=60, hold_until=NOW + DAY)
    redeem(account, 40, a)
    ledger.reverse_posting(actor=None, now=NOW, posting_id=first)

    found = roll_forward(programme=programme, start=JUNE, end=JULY)
    owed = liability(programme=programme, on_date=NOW.date())

    assert found.ties
    assert {row.kind: row.closing for row in found.rows} == {"property": 60, "debt": -100}
    assert (owed.total.points, owed.debt, owed.total.value) == (60, 100, Decimal("0.60"))


def test_another_unit_has_a_roll_forward_of_its_own(programme, places):
    membership = make_membership(programme, make_guest())
    wallet = ledger.open_account(membership_id=membership.pk, unit="CNY")
    earn(wallet, 500, places[0])

    assert roll_forward(programme=programme, start=JUNE, end=JULY).total.closing == 0
    assert roll_forward(programme=programme, start=JUNE, end=JULY, unit="CNY").total.closing == 500


def test_a_posting_that_differs_from_its_lots_is_shown(programme, places):
    account = open_account(programme)
    posting = earn(account, 100, places[0])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE loyalty_lotmove SET open_delta = 90 WHERE posting_id = %s", [posting])
        cursor.execute("SET LOCAL session_replication_role = origin")

    found = roll_forward(programme=programme, start=JUNE, end=JULY)

    assert not found.ties
    assert found.differences["issued"] == 10
    assert [(row.posting_id, row.booked, row.moved) for row in found.postings] == [(posting, 100, 90)]


def test_liability_is_told_by_property_and_month_on_any_day(programme, places):
    a, b, _c = places
    account = open_account(programme)
    earn(account, 1000, a, now=NOW - 40 * DAY, business_date=NOW.date() - 40 * DAY)
    earn(account, 500, b, unit_cost=None)
    redeem(account, 600, b, now=NOW + DAY)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        today = liability(programme=programme, on_date=NOW.date())
    later = liability(programme=programme, on_date=NOW.date() + DAY)

    assert len(queries) == 4
    assert [(row.place, row.points, row.value) for row in today.by_place] == [
        (a, 1000, Decimal("10.00")),
        (b, 500, Decimal("10.00")),
    ]
    assert [(row.month, row.points) for row in today.by_month] == [(JUNE, 500), (MAY, 1000)]
    assert today.rate_pct is None
    assert (later.total.points, later.total.breakage > 0) == (900, True)
    assert later.total.liability < later.total.value
    mine = liability(programme=programme, on_date=NOW.date(), property_ids=[b.pk])
    assert (mine.total.points, [row.place for row in mine.by_place]) == (500, [b])


# Whatever happened

steps = st.lists(
    st.one_of(
        st.tuples(st.just("earn"), st.integers(1, 500), st.integers(0, 2), st.sampled_from([None, 0, 20])),
        st.tuples(st.just("redeem"), st.integers(1, 400), st.integers(0, 2), st.none()),
        st.tuples(st.just("hold"), st.integers(1, 300), st.integers(0, 2), st.none()),
        st.tuples(st.just("capture"), st.integers(1, 300), st.integers(0, 2), st.none()),
        st.tuples(st.just("void"), st.none(), st.integers(0, 2), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.integers(0, 2), st.none()),
        st.tuples(st.just("clawback"), st.integers(0, 5), st.integers(0, 2), st.none()),
        st.tuples(st.just("adjust"), st.sampled_from([-70, 90]), st.integers(0, 2), st.none()),
        st.tuples(st.just("wait"), st.integers(1, 12), st.none(), st.none()),
        st.tuples(st.just("expire"), st.none(), st.none(), st.none()),
    ),
    min_size=4,
    max_size=22,
)


def live(account, places, history):
    """Do what a history says, as far as the ledger lets it; the instant at which it ends."""
    now = NOW.replace(day=20)
    done = defaultdict(list)
    for verb, value, index, life in history:
        now += value * DAY if verb == "wait" else dt.timedelta(minutes=1)
        place = places[index] if index is not None else None
        try:
            if verb in {"hold", "capture", "void"}:
                set_aside(verb, account, value, place, now, done)
            elif verb != "wait":
                move(verb, account, value, place, now, done, life)
        except LedgerError:
            pass
    return now


def move(verb, account, value, place, now, done, life):
    at = {"actor": None, "now": now, "property_id": place and place.pk}
    if verb == "earn":
        expires = None if life is None else now.date() + life * DAY
        pending = now.date() + 3 * DAY if value % 3 == 0 else None
        done["earn"].append(earn(account, value, place, now=now, expires_on=expires, pending_until=pending))
    elif verb == "redeem":
        done["redeem"].append(redeem(account, value, place, now=now))
    elif verb == "cancel" and value < len(done["redeem"]):
        ledger.cancel_redemption_posting(**at, posting_id=done["redeem"][value])
    elif verb == "clawback" and value < len(done["earn"]):
        ledger.reverse_posting(**at, posting_id=done["earn"][value])
    elif verb == "adjust":
        ledger.adjust_points(**at, account_id=account, points=value, reason="x")
    elif verb == "expire":
        ledger.expire_lots(now=now, account_id=account)


def set_aside(verb, account, value, place, now, done):
    at = {"actor": None, "now": now, "property_id": place.pk}
    if verb == "hold":
        done["hold"].append(
            ledger.place_hold(**at, account_id=account, points=value, hold_until=now + 400 * DAY).hold_id
        )
    elif verb == "capture" and done["hold"]:
        done["redeem"].append(ledger.capture_hold(**at, hold_id=done["hold"].pop(), points=value).posting_id)
    elif verb == "void" and done["hold"]:
        ledger.void_hold(actor=None, now=now, hold_id=done["hold"].pop())


def owed_by_hand():
    """What each property owes each other, by reading postings and moves one by one."""
    owed = defaultdict(Decimal)
    for posting in Posting.objects.filter(kind__in=["redeem", "refund"]).select_related("reverses"):
        original = posting.reverses or posting
        if original.kind != "redeem":
            continue
        ids = [posting.pk]
        if posting.hold_id:
            ids.append(Hold.objects.get(pk=posting.hold_id).placed_posting_id)
        for move in LotMove.objects.filter(posting__in=ids).select_related("lot"):
            funding = move.lot.funding_property_id
            if funding and funding != original.property_id:
                owed[funding, original.property_id] -= move.open_delta * (move.lot.unit_cost or Decimal("0.02"))
    return {pair: amount for pair, amount in owed.items() if amount}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps, late=st.booleans())
def test_everything_ties_whatever_happened(programme, places, history, late):
    with transaction.atomic():
        account = open_account(programme)
        end = live(account, places, history)
        months = [JUNE]
        while months[-1] <= end.date():
            months.append((months[-1] + 32 * DAY).replace(day=1))
        if late:
            # A correction of the first month after it was closed.
            settle(programme, months[1], now=end + 60 * DAY)
            live(account, places, [("earn", 100, 0, None), ("redeem", 60, 1, None)])
        for month in [*months[1:], (months[-1] + 32 * DAY).replace(day=1)]:
            settle(programme, month, now=end + 90 * DAY)

        # Settlement: nets to zero over the properties, and is what the postings say one by one.
        items = SettlementItem.objects.values_list("payer", "payee").annotate(total=Sum("amount"))
        assert {(payer, payee): total for payer, payee, total in items if total} == owed_by_hand()
        for run in SettlementRun.objects.all():
            position = defaultdict(Decimal)
            for line in run.lines.all():
                position[line.payer_id] -= line.amount
                position[line.payee_id] += line.amount
            assert sum(position.values()) == 0
            assert run.closed_at is not None
        # Roll-forward: ties to the point, and each month begins where the one before ended.
        closing = 0
        for month in months:
            found = roll_forward(programme=programme, start=month, end=(month + 32 * DAY).replace(day=1))
            assert found.ties, found
            assert found.total.opening == closing
            closing = found.total.closing
        balance = Account.objects.get(pk=account)
        assert closing == balance.available + balance.pending + balance.held - balance.debt
        # Liability: what lots hold and what is set aside from them.
        owed = liability(programme=programme, on_date=months[-1])
        assert owed.total.points == balance.available + balance.pending + balance.held
        assert owed.debt == balance.debt
        assert owed.total.points == (
            (Lot.objects.aggregate(n=Sum("remaining"))["n"] or 0)
            + (Hold.objects.filter(state="active").aggregate(n=Sum("points"))["n"] or 0)
        )
        transaction.set_rollback(True)
