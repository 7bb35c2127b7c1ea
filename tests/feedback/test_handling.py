"""How tickets are seen to: clocks, routing, the ladder, joining, files, service recovery."""

import datetime as dt
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse

from feedback import services
from feedback.models import (
    BusinessCalendar,
    CalendarInterval,
    Handover,
    Notification,
    PublicHoliday,
    Recovery,
    RoutingRule,
    Shift,
    SLAPolicy,
    Ticket,
    TicketClock,
    TicketEvent,
    TicketReminder,
)
from feedback.rules.clock import Mark, elapsed, stretches
from feedback.rules.files import safe_name, type_of
from feedback.selectors.calendars import Calendars
from feedback.selectors.desk import guest_thread
from hotels.models import Role
from loyalty.models import Account
from loyalty.services.memberships import enrol_member
from members.models import Stay
from tests.factories import (
    NOW,
    SHANGHAI,
    make_department,
    make_guest,
    make_programme,
    make_property,
    make_shift,
    make_staff,
    make_voucher_type,
)

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def office(place):
    """Monday to Friday, 9 to 12 and 14 to 18; NOW is a Monday, 12:00."""
    calendar = BusinessCalendar.objects.create(code="OFFICE", name="办公时间")
    for day in range(1, 6):
        for opens, closes in ((9, 12), (14, 18)):
            CalendarInterval.objects.create(
                calendar=calendar, weekday=day, opens=dt.time(opens), closes=dt.time(closes)
            )
    return calendar


def promise(**fields):
    return SLAPolicy.objects.create(
        **{
            "name": "约定",
            "first_response_minutes": 60,
            "next_response_minutes": 60,
            "resolution_minutes": 240,
            "effective_from": dt.date(2020, 1, 1),
            **fields,
        }
    )


def log(place, actor=None, **facts):
    return services.open_ticket(
        **{
            "actor": actor,
            "now": NOW,
            "guest_id": facts.pop("guest_id", None) or make_guest().pk,
            "place": place,
            "category": "noise",
            "severity": "high",
            "subject": "空调噪音",
            **facts,
        }
    )


def clock_of(ticket, metric="resolution"):
    return TicketClock.objects.filter(ticket=ticket, metric=metric).order_by("-number").first()


def leaf(field, value, op="in"):
    return {"all": [{"field": field, "op": op, "value": value}]}


# Clocks


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


# What the database refuses


def test_history_cannot_be_altered(place):
    log(place)
    for change in (lambda: TicketEvent.objects.update(text="x"), lambda: TicketEvent.objects.all().delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_a_ticket_goes_only_the_ways_there_are(place):
    ticket = log(place)
    services.close_ticket(root_cause="staff", actor=None, now=NOW, ticket_id=ticket.pk)

    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(status="waiting", closed_at=None, waiting_since=NOW)


@pytest.mark.parametrize(("kind", "channel"), [("note", "email"), ("reply", ""), ("escalated", "sms")])
def test_a_note_has_no_channel_to_the_guest(place, kind, channel):
    ticket = log(place)

    with pytest.raises(IntegrityError), transaction.atomic():
        TicketEvent.objects.create(ticket=ticket, kind=kind, channel=channel, at=NOW)


def test_the_guest_reads_replies_and_messages_only(place):
    ticket = log(place)
    services.add_note(actor=None, now=NOW, ticket_id=ticket.pk, text="难缠")
    services.record_reply(actor=None, now=NOW, ticket_id=ticket.pk, text="马上处理", channel="phone")

    assert [event.text for event in guest_thread(ticket)] == ["马上处理"]


def test_closing_without_a_cause_is_refused(place):
    ticket = log(place)

    with pytest.raises(services.RootCauseMissing):
        services.close_ticket(root_cause="", actor=None, now=NOW, ticket_id=ticket.pk)


def test_one_letter_opens_one_ticket_a_department(place):
    departments = [make_department(place, code) for code in ("FO", "ENG")]
    guest = make_guest()

    made = [
        log(place, guest_id=guest.pk, department=department, source="email", source_reference="<1@x>")
        for department in [*departments, *departments]
    ]

    assert made[:2] == made[2:]
    assert Ticket.objects.count() == 2


# Routing


def test_rules_name_the_department_and_the_roster_the_person(place):
    front, engineering = make_department(place), make_department(place, "ENG")
    RoutingRule.objects.create(name="工程", condition=leaf("ticket.category", ["room"]), department_code="ENG")
    RoutingRule.objects.create(name="其他", position=200, department_code="FO")
    users = [make_staff(Role.GUEST_SERVICE, place=place) for _ in range(4)]
    make_shift(users[0], front)
    make_shift(users[1], engineering, skills=["noise"])
    make_shift(users[2], engineering)
    make_shift(users[3], engineering, start=NOW + 20 * HOUR)

    first, second, other = (log(place, category=category) for category in ("room", "room", "noise"))

    assert (first.department, first.assignee) == (engineering, users[2])
    assert second.assignee == users[2]
    assert (other.department, other.assignee) == (front, users[0])
    assert Notification.objects.filter(user=users[2], kind="assigned").count() == 2


def test_the_least_loaded_takes_it(place):
    department = make_department(place)
    users = [make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2)]
    for user in users:
        make_shift(user, department)

    assert [log(place, department=department).assignee for _ in range(4)] == [*users, *users]


def test_nobody_absent_gets_it_and_the_roster_is_asked_again(place):
    """Chatwoot 7204, 15786, 5672: given to who is away, or never tried again."""
    department, clerk = make_department(place), make_staff(place=place)
    late = make_staff(Role.GUEST_SERVICE, place=place)
    make_shift(late, department, start=NOW + 2 * HOUR)

    ticket, of_system = log(place, clerk, department=department), log(place, department=department)
    assert (ticket.assignee, ticket.is_provisional, of_system.assignee) == (clerk, True, None)
    assert services.assign_waiting(now=NOW) == 0
    assert services.assign_waiting(now=NOW + HOUR) == 2
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.is_provisional) == (late, False)
    with pytest.raises(services.PersonIsAbsent):
        services.assign_ticket(actor=None, now=NOW, ticket_id=ticket.pk, user=clerk)


def test_a_shift_leaves_a_list_that_the_next_takes_over(client, place):
    department = make_department(place)
    early, late = (make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2))
    make_shift(early, department, hours=2)
    ticket = log(place, department=department)

    assert services.close_shifts(now=NOW + 2 * HOUR) == 1
    assert services.close_shifts(now=NOW + 2 * HOUR) == 0
    client.force_login(late)
    page = client.get(reverse("feedback:handover")).content.decode()
    client.post(
        reverse("feedback:bulk"),
        {"request_key": str(uuid.uuid4()), "action": "handover", "tickets": [str(ticket.public_id)]},
    )

    ticket.refresh_from_db()
    assert ticket.subject in page
    assert ticket.assignee == late
    assert Handover.objects.get().accepted_by == late


# The ladder


def test_each_rung_is_given_once_to_those_on_duty(place):
    promise(first_response_minutes=None, resolution_minutes=100)
    department = make_department(place)
    users = {level: make_staff(Role.GUEST_SERVICE, place=place) for level in ("agent", "supervisor", "department_head")}
    for level, user in users.items():
        make_shift(user, department, level=level)
    log(place, department=department)

    for minutes in (49, 50, 80, 100, 100):
        services.send_reminders(now=NOW + dt.timedelta(minutes=minutes))

    rungs = Notification.objects.exclude(reminder=None).order_by("pk").values_list("reminder__percent", "user", "kind")
    assert list(rungs) == [
        (50, users["agent"].pk, "reminder"),
        (80, users["supervisor"].pk, "reminder"),
        (100, users["department_head"].pk, "overdue"),
    ]


@pytest.mark.parametrize(("may_wake", "told_at"), [(False, NOW + 20 * HOUR), (True, NOW + 7 * HOUR)])
def test_a_rung_waits_for_its_people_unless_they_may_be_woken(place, may_wake, told_at):
    """Zammad 4432: alerts at midnight."""
    promise(first_response_minutes=None, resolution_minutes=240)
    manager = make_staff(Role.PROPERTY_MANAGER, place=place)
    Shift.objects.create(
        user=manager,
        property=place,
        level="duty_manager",
        starts_at=NOW + 20 * HOUR,
        ends_at=NOW + 28 * HOUR,
    )
    ticket = log(place)
    Ticket.objects.filter(pk=ticket.pk).update(is_urgent_at_night=may_wake)

    services.send_reminders(now=NOW + 7 * HOUR)
    services.send_reminders(now=NOW + 20 * HOUR)

    assert Notification.objects.get(user=manager, reminder__percent=150).at == told_at


# Together and apart


def test_a_case_has_a_ticket_for_each_department(place):
    front, engineering = make_department(place), make_department(place, "ENG")
    ticket = log(place, department=front)

    part = services.split_ticket(
        actor=None,
        now=NOW,
        ticket_id=ticket.pk,
        department=engineering,
        subject="修空调",
        category="room",
        severity="low",
    )

    assert part.case_id == ticket.case_id
    assert clock_of(part).due_at == NOW + 24 * HOUR
    with pytest.raises(services.DepartmentHasTicket):
        services.split_ticket(
            actor=None,
            now=NOW,
            ticket_id=ticket.pk,
            department=engineering,
            subject="再",
            category="room",
            severity="low",
        )


def test_merging_keeps_both_and_is_undone_by_reopening(place):
    guest = make_guest()
    first, second = (log(place, guest_id=guest.pk) for _ in range(2))

    services.merge_tickets(actor=None, now=NOW, ticket_id=second.pk, into_id=first.pk)
    second.refresh_from_db()
    assert (second.status, second.merged_into) == ("merged", first)
    services.reopen_ticket(actor=None, now=NOW, ticket_id=second.pk)
    second.refresh_from_db()
    assert (second.status, second.merged_into) == ("open", None)


def test_tickets_of_two_guests_are_never_merged(place):
    """FreeScout 5138: a merge showed one customer's words to another."""
    with pytest.raises(services.CannotJoin):
        services.merge_tickets(actor=None, now=NOW, ticket_id=log(place).pk, into_id=log(place).pk)


# Files


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.png", b"<html><script>alert(1)</script>", "只接受"),
        ("a.svg", b"<svg onload=alert(1)>", "只接受"),
        ("a.png", b"", "空"),
        ("a.png", PNG + b"\0" * (10 * 1024 * 1024), "10 MB"),
    ],
)
def test_a_disguised_empty_or_large_file_is_refused(place, name, content, error, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    with pytest.raises(services.FileRefused, match=error):
        services.attach_file(
            actor=None, now=NOW, ticket_id=log(place).pk, name=name, content=SimpleUploadedFile(name, content)
        )
    assert list(tmp_path.rglob("*.*")) == []


def test_a_file_is_read_through_a_view_that_checks_rights(client, place, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    client.force_login(make_staff(Role.GUEST_SERVICE, place=place))
    ticket = log(place)
    upload = SimpleUploadedFile("../../漏水.html", PNG, content_type="text/html")

    client.post(reverse("feedback:attach", args=[ticket.public_id]), {"request_key": uuid.uuid4(), "file": upload})
    stored = ticket.attachments.get()
    url = reverse("feedback:attachment", args=[ticket.public_id, stored.public_id])
    answer = client.get(url)

    assert (stored.name, answer["Content-Type"]) == ("漏水.png", "image/png")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"".join(answer.streaming_content) == PNG
    client.force_login(make_staff(Role.GUEST_SERVICE, place=make_property()))
    assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF0000WEBP", "image/webp"),
        (b"MZ", ""),
    ],
)
def test_the_type_is_what_the_bytes_show(head, content_type):
    assert type_of(head) == content_type


def test_names_lose_paths_and_control_characters():
    assert safe_name("..\\..\\a\x00b\u202egnp.exe", "image/png") == "abgnp.png"


# Service recovery


@pytest.fixture
def member(place):
    guest = make_guest()
    enrol_member(actor=None, now=NOW, programme=make_programme(), guest_id=guest.pk, place=place)
    return guest


def test_points_are_given_once_within_the_limit_and_taken_back(place, member):
    agent = make_staff(Role.GUEST_SERVICE, place=place)
    ticket, key = log(place, guest_id=member.pk), uuid.uuid4()
    give = {"actor": agent, "now": NOW, "ticket_id": ticket.pk, "kind": "points", "text": "致歉"}

    recovery, again = (services.recover_service(**give, points=1500, key=key) for _ in range(2))
    with pytest.raises(services.RecoveryRefused):
        services.recover_service(**give, points=501)
    given = Account.objects.get(membership__guest=member).available
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)

    assert (recovery, given) == (again, 1500)
    assert Account.objects.get(membership__guest=member).available == 0


def test_a_voucher_is_given_and_canceled(place, member):
    agent = make_staff(Role.GUEST_SERVICE, place=place)
    voucher_type = make_voucher_type(member.memberships.get().programme)
    ticket = log(place, guest_id=member.pk)

    recovery = services.recover_service(
        actor=agent, now=NOW, ticket_id=ticket.pk, kind="voucher", text="致歉", voucher_type_id=voucher_type.pk
    )
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)

    recovery.voucher.refresh_from_db()
    assert recovery.voucher.state == "canceled"


@pytest.mark.parametrize("role", [Role.MARKETER, Role.AUDITOR])
def test_who_has_no_limit_gives_nothing(place, member, role):
    with pytest.raises(services.RecoveryRefused):
        services.recover_service(
            actor=make_staff(role),
            now=NOW,
            ticket_id=log(place, guest_id=member.pk).pk,
            kind="points",
            points=1,
            text="x",
        )
    assert not Recovery.objects.exists()


# Pages


@pytest.mark.parametrize(
    ("name", "data", "check"),
    [
        ("take", {}, lambda t: t.status == "in_progress"),
        ("wait", {}, lambda t: t.status == "waiting"),
        ("reply", {"text": "好的", "channel": "phone"}, lambda t: t.events.filter(kind="reply").exists()),
        (
            "reply",
            {"text": "好", "channel": "phone", "message": "1"},
            lambda t: t.events.filter(kind="message").exists(),
        ),
        ("classify", {"category": "food", "severity": "low"}, lambda t: t.category == "food"),
        ("recover", {"kind": "call", "text": "已致电"}, lambda t: t.recoveries.exists()),
    ],
)
def test_the_page_does_what_the_services_do(client, place, name, data, check):
    client.force_login(make_staff(Role.GUEST_SERVICE, place=place))
    ticket = log(place)

    answer = client.post(reverse(f"feedback:{name}", args=[ticket.public_id]), {"request_key": uuid.uuid4(), **data})

    ticket.refresh_from_db()
    assert answer.status_code == 302
    assert check(ticket)
    assert client.get(reverse("feedback:ticket", args=[ticket.public_id])).status_code == 200


def test_the_bell_counts_what_is_unread(client, place):
    agent, colleague = (make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2))
    ticket = log(place)
    services.assign_ticket(actor=colleague, now=NOW, ticket_id=ticket.pk, user=agent)
    client.force_login(agent)

    page = client.get(reverse("feedback:notifications")).content.decode()
    bell = client.get(reverse("feedback:notifications"), headers={"HX-Request": "true"}).content.decode()
    client.post(reverse("feedback:read_notifications"), {"newest": Notification.objects.get().pk})

    assert ticket.subject in page
    assert ">1<" in bell
    assert Notification.objects.filter(read_at=None).count() == 0
