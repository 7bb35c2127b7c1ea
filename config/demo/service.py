"""What staff of the demo group did: notes, tags, tickets."""

from __future__ import annotations

import datetime as dt
import random

from config.demo.people import MEMORABLE
from feedback.models import BusinessCalendar, CalendarInterval, Macro, RoutingRule, Shift, SLAPolicy, Ticket
from feedback.services import close_ticket, open_ticket
from hotels.models import Department, Property, User
from members.models import Preference, Stay, Tag
from members.services.preferences import add_preference, add_tag

TAGS = {
    "vip": ("贵宾", "VIP"),
    "long-stay": ("长住客", "Long stay"),
    "family": ("亲子", "Family"),
    "business": ("商务", "Business"),
    "honeymoon": ("蜜月", "Honeymoon"),
    "photographer": ("摄影爱好者", "Photographer"),
}
NOTES = (
    (Preference.Category.ALLERGY, "海鲜过敏", 6),
    (Preference.Category.ALLERGY, "花生过敏", 3),
    (Preference.Category.ALLERGY, "乳糖不耐受", 5),
    (Preference.Category.ALLERGY, "羽绒过敏，使用化纤枕被", 4),
    (Preference.Category.MEDICAL, "糖尿病，需要小冰箱存放胰岛素", 2),
    (Preference.Category.ROOM, "高楼层", 20),
    (Preference.Category.ROOM, "安静房，远离电梯", 18),
    (Preference.Category.ROOM, "无烟房", 14),
    (Preference.Category.BEDDING, "加一个软枕", 10),
    (Preference.Category.BEDDING, "硬床垫", 6),
    (Preference.Category.FOOD, "素食", 7),
    (Preference.Category.FOOD, "不吃辣", 9),
    (Preference.Category.SERVICE, "请勿致电客房", 6),
    (Preference.Category.SERVICE, "需要发票，抬头见公司", 12),
    (Preference.Category.OTHER, "喜欢靠江一侧", 5),
)
COMPLAINTS = (
    (Ticket.Category.NOISE, Ticket.Severity.MEDIUM, "隔壁房间深夜喧哗", "FO"),
    (Ticket.Category.ROOM, Ticket.Severity.HIGH, "空调不制冷", "ENG"),
    (Ticket.Category.ROOM, Ticket.Severity.MEDIUM, "淋浴水温忽冷忽热", "ENG"),
    (Ticket.Category.CLEANLINESS, Ticket.Severity.HIGH, "浴室有头发", "HK"),
    (Ticket.Category.CLEANLINESS, Ticket.Severity.LOW, "地毯有污渍", "HK"),
    (Ticket.Category.FOOD, Ticket.Severity.MEDIUM, "早餐补菜慢", "FB"),
    (Ticket.Category.SERVICE, Ticket.Severity.MEDIUM, "入住等候超过二十分钟", "FO"),
    (Ticket.Category.BILLING, Ticket.Severity.MEDIUM, "迷你吧重复收费", "FO"),
    (Ticket.Category.LOYALTY, Ticket.Severity.LOW, "上次住宿积分未到账", "GR"),
    (Ticket.Category.OTHER, Ticket.Severity.LOW, "遗落充电器，请寄回", "HK"),
    (Ticket.Category.FOOD, Ticket.Severity.CRITICAL, "餐食含过敏原，客人身体不适", "FB"),
)
RESOLUTIONS = (
    "已致歉并赠送水果",
    "已更换房间",
    "工程部修复，客人确认",
    "已退回多收费用",
    "已补登积分",
    "已寄出，客人签收",
)
CAUSES = [cause for cause in Ticket.RootCause.values if cause != Ticket.RootCause.UNKNOWN]
NOTED_SHARE = 0.2
TAGGED_SHARE = 0.12
TICKET_SHARE = 0.07
STILL_OPEN_DAYS = 4


def write_notes(rng: random.Random, guest_ids: list[int], memorable: dict[int, int], *, now: dt.datetime) -> None:
    """Note preferences and alerts, and put on tags; the memorable guests' own first."""
    for index, guest_id in memorable.items():
        for category, text in MEMORABLE[index].notes:
            add_preference(
                actor=None, now=now, guest_id=guest_id, category=category, text=text, source="desk", place=None
            )
    tags = [Tag.objects.create(code=code, name=name, name_en=name_en) for code, (name, name_en) in TAGS.items()]
    weights = [weight for _category, _text, weight in NOTES]
    for guest_id in guest_ids:
        if rng.random() < NOTED_SHARE:
            for category, text, _weight in rng.choices(NOTES, weights=weights, k=rng.choice((1, 1, 2))):
                add_preference(
                    actor=None, now=now, guest_id=guest_id, category=category, text=text, source="desk", place=None
                )
        if rng.random() < TAGGED_SHARE:
            add_tag(actor=None, now=now, guest_id=guest_id, tag_id=rng.choice(tags).pk, place=None)


def write_tickets(
    rng: random.Random, places: list[Property], users: dict[str, User], memorable: dict[int, int], *, now: dt.datetime
) -> None:
    """Log complaints of stays: old ones closed, those of the last days open, some of them overdue."""
    departments = {(d.property_id, d.code): d for d in Department.objects.all()}
    actor = users["service"]
    for index, guest_id in memorable.items():
        if MEMORABLE[index].ticket:
            open_ticket(
                actor=actor, now=now - dt.timedelta(hours=3), guest_id=guest_id, place=places[0],
                category=Ticket.Category.ROOM, severity=Ticket.Severity.HIGH, subject=MEMORABLE[index].ticket,
                department=departments[places[0].pk, "ENG"],
            )  # fmt: skip
    by_id = {place.pk: place for place in places}
    stays = list(
        Stay.objects.exclude(guest=None)
        .filter(arrival_date__gt=now.date() - dt.timedelta(days=300))
        .order_by("arrival_date", "pk")
        .values_list("pk", "guest_id", "property_id", "arrival_date")
    )
    recent = [stay for stay in stays if (now.date() - stay[3]).days <= STILL_OPEN_DAYS]
    chosen = rng.sample(stays, k=round(len(stays) * TICKET_SHARE / 2)) + rng.sample(recent, k=len(recent) // 4)
    for stay_id, guest_id, place_id, arrival in sorted(set(chosen), key=lambda stay: (stay[3], stay[0])):
        category, severity, subject, department = rng.choice(COMPLAINTS)
        is_open = (now.date() - arrival).days <= STILL_OPEN_DAYS and rng.random() < 0.7
        opened_at = dt.datetime.combine(arrival, dt.time(rng.randint(15, 22)), tzinfo=now.tzinfo)
        if is_open or opened_at > now:
            # Due within hours, so some of these are overdue and some are not.
            opened_at = now - dt.timedelta(hours=rng.uniform(0.1, 30))
        ticket = open_ticket(
            actor=actor, now=opened_at, guest_id=guest_id, place=by_id[place_id], category=category, severity=severity,
            subject=subject, stay_id=stay_id, department=departments[place_id, department],
        )  # fmt: skip
        closed_at = opened_at + dt.timedelta(hours=rng.uniform(0.5, 30))
        if not is_open and closed_at < now:
            close_ticket(
                actor=actor, now=closed_at, ticket_id=ticket.pk, root_cause=rng.choice(CAUSES), resolution=rng.choice(RESOLUTIONS)
            )  # fmt: skip


def make_service_levels(*, now: dt.datetime) -> None:
    """Agree hours, times and departments for tickets, and write some texts to reply with."""
    office = BusinessCalendar.objects.create(code="OFFICE", name="行政班", name_en="Office hours")
    CalendarInterval.objects.bulk_create(
        CalendarInterval(calendar=office, weekday=day, opens=dt.time(opens), closes=dt.time(closes))
        for day in range(1, 6)
        for opens, closes in ((9, 12), (13, 18))
    )
    begin = now.date() - dt.timedelta(days=3 * 366)
    # name, severities, hours, minutes to the first response, to the next, to the end
    for position, (name, severities, calendar, first, following, end) in enumerate(
        (
            ("严重投诉", ["critical"], None, 10, 15, 60),
            ("重要投诉", ["high"], None, 15, 30, 240),
            ("一般投诉", ["medium"], None, 60, 120, 24 * 60),
            ("轻微意见", ["low"], office, 240, 480, 3 * 9 * 60),
        )
    ):
        SLAPolicy.objects.create(
            name=name,
            position=10 * (position + 1),
            condition={"all": [{"field": "ticket.severity", "op": "in", "value": severities}]},
            calendar=calendar,
            first_response_minutes=first,
            next_response_minutes=following,
            resolution_minutes=end,
            effective_from=begin,
        )
    for position, (name, categories, department) in enumerate(
        (
            ("设备与客房", ["room"], "ENG"),
            ("清洁", ["cleanliness"], "HK"),
            ("餐饮", ["food"], "FB"),
            ("积分与会籍", ["loyalty"], "GR"),
            ("其他", list(Ticket.Category.values), "FO"),
        )
    ):
        RoutingRule.objects.create(
            name=name,
            position=10 * (position + 1),
            condition={"all": [{"field": "ticket.category", "op": "in", "value": categories}]},
            department_code=department,
        )
    Macro.objects.create(
        name="致歉并处理", name_en="Apology", text="{guest}您好，非常抱歉给您带来不便，我们马上处理。",
        text_en="Dear {guest}, we are very sorry and are seeing to it right away.",
    )  # fmt: skip
    Macro.objects.create(
        name="请问房号", name_en="Which room", text="{guest}您好，请问您的房号是多少？",
        text_en="Dear {guest}, may we ask for your room number?",
    )  # fmt: skip


def make_roster(place: Property, users: dict[str, User], *, now: dt.datetime) -> None:
    """Plan two weeks for those of the first property who see to tickets."""
    department = Department.objects.get(property=place, code="FO")
    midnight = dt.datetime.combine(now.date(), dt.time(), tzinfo=now.tzinfo)
    planned = (
        ("service", Shift.Level.AGENT, department, 7, 12),
        ("reception", Shift.Level.AGENT, department, 19, 12),
        ("manager", Shift.Level.DUTY_MANAGER, None, 8, 12),
    )
    Shift.objects.bulk_create(
        Shift(
            user=users[name],
            property=place,
            department=team,
            level=level,
            starts_at=midnight + dt.timedelta(days=day, hours=hour),
            ends_at=midnight + dt.timedelta(days=day, hours=hour + hours),
        )
        for day in range(14)
        for name, level, team, hour, hours in planned
    )
