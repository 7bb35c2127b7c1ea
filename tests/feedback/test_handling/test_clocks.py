"""Clocks."""

import datetime as dt

import pytest

from feedback import services
from feedback.models import (
    CalendarInterval,
    PublicHoliday,
    TicketClock,
    TicketReminder,
)
from feedback.rules.clock import Mark, elapsed, stretches
from feedback.selectors.calendars import Calendars
from members.models import Stay
from tests.factories import (
    NOW,
    SHANGHAI,
    make_guest,
    make_staff,
)
from tests.feedback.test_handling.acts import HOUR, clock_of, leaf, log, promise

pytestmark = pytest.mark.django_db


def test_a_ticket_is_due_by_the_hours_of_its_policy(place, office):
    promise(calendar=office)

    ticket = log(place)

    assert clock_of(ticket, "first_response").due_at == NOW + 3 * HOUR
    assert clock_of(ticket).due_at == NOW + 6 * HOUR
    assert ticket.due_at == NOW + 3 * HOUR


def test_the_holidays_of_china_are_known_and_kept(place, office):
    assert PublicHoliday.objects.filter(date__year=2026, is_working=False).count() == 33
    calendar = Calendars().get(office.pk, place)

    assert not calendar.is_open(dt.datetime(2026, 10, 1, 10, tzinfo=SHANGHAI))
    assert calendar.is_open(dt.datetime(2026, 10, 10, 10, tzinfo=SHANGHAI))


def test_the_policy_of_the_property_and_the_first_that_fits_counts(place):
    promise(name="集团", resolution_minutes=10)
    promise(name="本店低", property=place, condition=leaf("ticket.severity", ["low"]), resolution_minutes=20)
    promise(name="本店高", property=place, condition=leaf("ticket.severity", ["high"]), resolution_minutes=30)
    promise(name="过期", property=place, position=1, effective_until=dt.date(2021, 1, 1))

    assert clock_of(log(place)).policy.name == "本店高"
    assert clock_of(log(place, severity="medium")).policy.name == "集团"


def test_waiting_for_the_guest_stops_the_clock_and_a_new_severity_keeps_the_pause(place):
    promise()
    ticket, agent = log(place), make_staff(place=place)

    services.record_reply(
        actor=agent, now=NOW + HOUR / 2, ticket_id=ticket.pk, text="请问几号房？", channel="phone", waits=True
    )
    services.classify_ticket(actor=agent, now=NOW + 5 * HOUR, ticket_id=ticket.pk, category="noise", severity="low")
    paused = clock_of(ticket)
    services.record_message(actor=None, now=NOW + 10 * HOUR, ticket_id=ticket.pk, text="808", channel="wechat")

    assert (paused.due_at, paused.counted_seconds) == (None, 1800)
    assert clock_of(ticket).due_at == NOW + 10 * HOUR + 3.5 * HOUR
    assert clock_of(ticket, "first_response").outcome == "met"
    assert clock_of(ticket, "next_response").due_at == NOW + 11 * HOUR


def test_what_a_clock_has_counted_is_what_its_events_say(place, office):
    promise(calendar=office, resolution_minutes=3000)
    ticket = log(place)
    for hours, change in ((3, services.wait_for_guest), (5, services.stop_waiting), (25, services.wait_for_guest)):
        change(actor=None, now=NOW + hours * HOUR, ticket_id=ticket.pk)

    marks = [
        Mark(event.at, is_paused=event.kind == "waiting")
        for event in ticket.events.filter(kind__in=["waiting", "resumed"])
    ]
    run = stretches(ticket.opened_at, Calendars().get(office.pk, place), marks)
    assert clock_of(ticket).counted_seconds == elapsed(run, NOW + 30 * HOUR).total_seconds() == 5 * 3600


def test_a_message_more_does_not_restart_the_first_response(place):
    """Zammad 5177: the update time overruled the first response."""
    promise()
    ticket = log(place)

    services.record_message(actor=None, now=NOW + HOUR / 2, ticket_id=ticket.pk, text="还在吗", channel="wechat")

    assert clock_of(ticket, "first_response").due_at == NOW + HOUR
    assert clock_of(ticket, "next_response") is None


def test_a_breach_is_decided_by_the_instants_and_not_by_a_job(place):
    promise()
    late, kept = log(place), log(place)

    services.close_ticket(root_cause="staff", actor=None, now=NOW + 5 * HOUR, ticket_id=late.pk)
    services.close_ticket(root_cause="staff", actor=None, now=NOW + HOUR, ticket_id=kept.pk)

    assert (clock_of(late).outcome, clock_of(late).breached_at) == ("missed", NOW + 4 * HOUR)
    assert [clock_of(kept, metric).outcome for metric in ("first_response", "resolution")] == ["met", "met"]
    # Chatwoot 10178: nothing counts on after the end.
    assert not TicketReminder.objects.filter(state="pending").exists()


def test_reopening_is_a_new_cycle_and_no_instant_breach(place):
    """osTicket 5955."""
    promise()
    ticket = log(place)
    services.close_ticket(root_cause="staff", actor=None, now=NOW + 5 * HOUR, ticket_id=ticket.pk)

    services.reopen_ticket(actor=None, now=NOW + 50 * HOUR, ticket_id=ticket.pk)

    assert (clock_of(ticket).number, clock_of(ticket).due_at) == (2, NOW + 54 * HOUR)
    assert TicketClock.objects.get(ticket=ticket, metric="resolution", number=1).outcome == "missed"
    assert services.send_reminders(now=NOW + 51 * HOUR).sent == 0


def test_a_clock_that_is_no_longer_promised_ends(place):
    """Zammad 4353: still escalated after the service level was taken away."""
    promise(condition=leaf("ticket.severity", ["high"]))
    ticket = log(place)

    services.classify_ticket(actor=None, now=NOW, ticket_id=ticket.pk, category="noise", severity="low")

    assert clock_of(ticket, "first_response").outcome == "dropped"
    assert clock_of(ticket).due_at == NOW + 24 * HOUR


def test_a_later_due_time_clears_the_breach(place):
    """osTicket 5160."""
    promise(condition=leaf("ticket.severity", ["high"]))
    ticket = log(place)

    services.classify_ticket(actor=None, now=NOW + 6 * HOUR, ticket_id=ticket.pk, category="noise", severity="low")

    ticket.refresh_from_db()
    assert clock_of(ticket).breached_at is None
    assert ticket.due_at == NOW + 24 * HOUR


def test_a_guest_in_the_house_is_helped_two_hours_before_leaving(place):
    promise(resolution_minutes=3000)
    guest = make_guest()
    stay = Stay.objects.create(
        property=place, guest=guest, source_system="pms", source_reference="S", currency="CNY", status="in_house",
        arrival_date=dt.date(2026, 6, 14), departure_date=dt.date(2026, 6, 16), room_number="808",
    )  # fmt: skip

    ticket = log(place, guest_id=guest.pk, stay_id=stay.pk)

    assert clock_of(ticket).due_at == dt.datetime(2026, 6, 16, 10, tzinfo=SHANGHAI)
    half = TicketReminder.objects.get(clock=clock_of(ticket), percent=50)
    assert half.due_at == NOW + 11 * HOUR
    assert ticket.is_urgent_at_night


def test_other_hours_move_what_is_due(place, office):
    promise(calendar=office)
    ticket = log(place)
    CalendarInterval.objects.create(calendar=office, weekday=1, opens=dt.time(12), closes=dt.time(14))

    services.recount_calendar(now=NOW, calendar_id=office.pk)

    ticket.refresh_from_db()
    assert ticket.due_at == NOW + HOUR
