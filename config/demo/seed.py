"""Makes the demo group through the same services that the pages and the API use."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from itertools import groupby
from zoneinfo import ZoneInfo

from django.db import transaction

from config.demo.approvals import make_approvals
from config.demo.friends import make_friends
from config.demo.organization import make_logins, make_organization
from config.demo.people import MEMORABLE, PRIVACY_TEXT, invent_consents, invent_guests
from config.demo.programme import make_programme
from config.demo.rewards import Redeemer
from config.demo.service import make_roster, make_service_levels, write_notes, write_tickets
from config.demo.visits import HISTORY_DAYS, Diary, Visit, invent_history, invent_present
from config.demo.vouchers import make_vouchers
from hotels.models import User
from loyalty.models import JobRun, Programme
from loyalty.services.jobs import expire_lapsed_points, release_due_points, run_job
from loyalty.services.memberships import enrol_members
from loyalty.services.tier_reviews import apply_review, approve_review, build_review, write_warnings
from members.models import Consent
from members.services.guests import create_guests

SEED = 20260
MEMBER_SHARE = 0.8
REDEMPTIONS_A_MONTH = 30
SHANGHAI = ZoneInfo("Asia/Shanghai")


@transaction.atomic
def seed(*, guests: int, now: dt.datetime, say: Callable[[str], object]) -> None:
    """Make everything.

    Args:
        guests: How many guests.
        now: Aware instant that counts as the present; the same one gives the same data.
        say: Gets a line for each step.
    """
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    now = now.astimezone(SHANGHAI)
    today = now.date()
    places = make_organization(today=today)
    users = make_logins(places)
    programme = make_programme(places=places, today=today)
    say(f"{len(places)} properties, {len(users)} accounts, programme {programme.name}.")

    begin = now - dt.timedelta(days=HISTORY_DAYS + 1)
    guest_ids = _make_guests(rng, guests, begin=begin, today=today)
    memorable = dict(enumerate(guest_ids[: len(MEMORABLE)]))
    say(f"{len(guest_ids)} guests.")

    present = invent_present(
        rng, guest_ids, places, now, {memorable[i]: m.today for i, m in enumerate(MEMORABLE) if m.today}
    )
    history = invent_history(rng, guest_ids, places, today, {memorable[i]: m.stays for i, m in enumerate(MEMORABLE)})
    arrivals = {visit.guest_id: visit.arrival for visit in present}
    history = [visit for visit in history if visit.departure <= arrivals.get(visit.guest_id, visit.departure)]
    _enrol(rng, programme, guest_ids, memorable, history, begin=begin, now=now)
    say(f"{len(history) + len(present)} bookings, month by month:")
    redeemer = Redeemer(rng, places, users["reception"], present=now)
    _live_through(Diary(rng, places), redeemer, history, present, now=now)
    _review_tiers(programme, users["group"], now=now)
    _close_months(programme, begin=begin, now=now)
    write_notes(rng, guest_ids, memorable, now=now)
    make_service_levels(now=now)
    write_tickets(rng, places, users, memorable, now=now)
    make_roster(places[0], users, now=now)
    make_friends(rng, programme, places, users, now=now)
    make_vouchers(rng, programme, places, users, list(memorable.values()), now=now)
    make_approvals(programme, places, users, now=now)
    say("Notes, tags, tickets, friends, vouchers, approvals.")


def _make_guests(rng: random.Random, count: int, *, begin: dt.datetime, today: dt.date) -> list[int]:
    rows = [memorable.guest for memorable in MEMORABLE] + invent_guests(rng, count - len(MEMORABLE), today)
    results = create_guests(actor=None, now=begin, rows=rows, source="demo")
    guest_ids = [result.guest_id for result in results if result.guest_id is not None]
    Consent.objects.bulk_create(
        Consent(
            guest_id=guest_id,
            purpose=purpose,
            channel=channel,
            granted=True,
            text_version=PRIVACY_TEXT,
            source="desk",
            recorded_at=begin,
        )
        for guest_id in guest_ids
        for purpose, channel in invent_consents(rng)
    )
    return guest_ids


def _enrol(
    rng: random.Random,
    programme: Programme,
    guest_ids: list[int],
    memorable: dict[int, int],
    history: list[Visit],
    *,
    begin: dt.datetime,
    now: dt.datetime,
) -> None:
    """Make most guests members since their first stay, or since the beginning when they have none yet."""
    plain = {guest_id for index, guest_id in memorable.items() if not MEMORABLE[index].is_member}
    first: dict[int, dt.date] = {}
    for visit in history:
        first[visit.guest_id] = min(visit.arrival, first.get(visit.guest_id, visit.arrival))
    special = set(memorable.values())
    chosen = [g for g in guest_ids if g not in plain and (g in special or rng.random() < MEMBER_SHARE)]
    since = {
        guest_id: dt.datetime.combine(first[guest_id], dt.time(16), tzinfo=SHANGHAI) if guest_id in first else begin
        for guest_id in chosen
    }
    enrol_members(actor=None, now=now, programme=programme, guest_ids=chosen, enrolled_at=since)


def _live_through(
    diary: Diary,
    redeemer: Redeemer,
    history: list[Visit],
    present: list[Visit],
    *,
    now: dt.datetime,
) -> None:
    """Write history month by month with what happened between, so that points age as they would have."""
    for (year, number), visits in groupby(history, key=lambda visit: (visit.departure.year, visit.departure.month)):
        expire_lapsed_points(now=dt.datetime(year, number, 1, 0, 15, tzinfo=SHANGHAI))
        month = list(visits)
        end = min(now, dt.datetime.combine(month[-1].departure, dt.time(23, 30), tzinfo=SHANGHAI))
        diary.write(month, now=end)
        release_due_points(now=end)
        redeemer.redeem_some(REDEMPTIONS_A_MONTH, now=end)
    diary.write(present, now=now)
    release_due_points(now=now)
    redeemer.redeem_some(REDEMPTIONS_A_MONTH, now=now)


def _close_months(programme: Programme, *, begin: dt.datetime, now: dt.datetime) -> None:
    """Settle every month that is over between the properties."""
    month = programme.local_date(begin).replace(day=1)
    while (month := (month + dt.timedelta(days=32)).replace(day=1)) <= programme.local_date(now):
        run_job(now=now, job=JobRun.Job.SETTLE, run_date=month, programme_id=programme.pk)


def _review_tiers(programme: Programme, manager: User, *, now: dt.datetime) -> None:
    """Let tiers that ended end, so that the demo begins as after its last review."""
    review = build_review(actor=None, now=now, programme=programme)
    approve_review(actor=manager, now=now, review_id=review.pk)
    apply_review(actor=manager, now=now, review_id=review.pk)
    write_warnings(now=now, programme=programme)
