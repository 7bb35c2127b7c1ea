"""Conditions in PostgreSQL: the same rows as the plain evaluator finds, over facts worked out by hand."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.db.models import DecimalField, F, IntegerField, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Consent, Guest, GuestIdentity, GuestTag, Preference, Reservation, Stay, Tag
from members.rules.conditions import (
    Field,
    Kind,
    Target,
    compile_condition,
    fields_of,
    matches,
    parse,
    read,
    register_fields,
    register_target,
    unregister,
    used_fields,
)
from members.selectors.conditions import NotInTheDatabase, facts_of, to_q
from tests.factories import NOW, make_brand, make_group, make_guest, make_property, make_room_type
from tests.members.condition_trees import DATES, TEXTS, trees


def own_fields(target):
    """The fields of `members`; the apps above test theirs."""
    return [field for field in fields_of(target) if field.name.split(".")[0] in {"guest", "stay"}]


pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 2, 28)
FIRST_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
OPTIONS = {
    "stay.property": ["BUND", "WEST"],
    "stay.brand": ["YQ", "SU"],
    "stay.city": ["上海", "杭州"],
    "stay.room_type": ["KING", "TWIN"],
    "stay.currency": ["CNY", "USD"],
    "guest.gender": ["female", "male"],
    "guest.nationality": ["CN", "DE"],
    "guest.tags": ["vip", "noisy", "press"],
    "guest.preferences": ["food", "allergy", "room"],
    "guest.consents": ["marketing:sms", "programme:any"],
}


@pytest.fixture
def house(db):
    """Two properties, a room type each, three tags."""
    make_group()
    bund = make_property("BUND", city="上海")
    west = make_property("WEST", brand=make_brand("SU"), city="", currency="USD")
    make_property("EAST", city="杭州")
    tags = [Tag.objects.create(code=code, name=code) for code in OPTIONS["guest.tags"]]
    return SimpleNamespace(
        places=[bund, west], rooms={bund.pk: make_room_type(bund), west.pk: make_room_type(west, "TWIN")}, tags=tags
    )


GUESTS = st.fixed_dictionaries(
    {
        "gender": st.sampled_from(["", "female", "male"]),
        "birthday": st.none() | st.dates(dt.date(1960, 1, 1), dt.date(2010, 1, 1)) | st.just(dt.date(2000, 2, 29)),
        "nationality": st.sampled_from(["", "CN", "DE", "JP"]),
        "language": st.sampled_from(["", "zh-hans", "en"]),
        "company": st.just("") | TEXTS,
        "tags": st.sets(st.integers(0, 2)),
        "preferences": st.sets(st.sampled_from(["food", "allergy", "room"])),
        "consents": st.lists(
            st.tuples(
                st.sampled_from(["marketing", "programme"]),
                st.sampled_from(["sms", "any"]),
                st.booleans(),
                st.integers(0, 2),
            ),
            max_size=4,
        ),
        "has_phone": st.booleans(),
        "has_email": st.booleans(),
        "created_at": st.integers(0, 790 * 24).map(lambda hours: FIRST_DAY + dt.timedelta(hours=hours)),
        "last_stay_date": st.none() | DATES,
    }
)
STAYS = st.fixed_dictionaries(
    {
        "guest": st.none() | st.integers(0, 2),
        "place": st.integers(0, 1),
        "has_room_type": st.booleans(),
        "arrival_date": DATES,
        "nights": st.integers(0, 5),
        "lead_days": st.none() | st.integers(0, 50),
        "rate_plan": st.just("") | TEXTS,
        "channel": st.just("") | TEXTS,
        "market_segment": st.just("") | TEXTS,
        "is_group": st.booleans(),
        "net_total": st.sampled_from([Decimal(0), Decimal(100), Decimal("99.99"), Decimal(-5), Decimal(2000)]),
        "status": st.sampled_from(["checked_out", "checked_out", "in_house", "voided"]),
    }
)


def store(house, guests, stays):
    """Write what was drawn; the rows with what they were made of."""
    stored_guests = []
    for n, facts in enumerate(guests):
        plain = {name: facts[name] for name in ("gender", "birthday", "nationality", "language", "company")}
        guest = Guest.objects.create(name="陈思远", last_stay_date=facts["last_stay_date"], **plain)
        Guest.objects.filter(pk=guest.pk).update(created_at=facts["created_at"])
        GuestTag.objects.bulk_create(GuestTag(guest=guest, tag=house.tags[t]) for t in facts["tags"])
        Preference.objects.bulk_create(
            Preference(guest=guest, category=c, severity="alert", text="x") for c in facts["preferences"]
        )
        Consent.objects.bulk_create(
            Consent(
                guest=guest,
                purpose=purpose,
                channel=channel,
                granted=granted,
                text_version="1",
                source="test",
                recorded_at=NOW + dt.timedelta(days=day),
            )
            for purpose, channel, granted, day in facts["consents"]
        )
        for kind in ("phone", "email"):
            if facts[f"has_{kind}"]:
                GuestIdentity.objects.create(
                    guest=guest, kind=kind, value=b"x", value_index=f"{kind}{n}".encode(), masked="*"
                )
        stored_guests.append(guest)
    stored_stays = []
    for n, facts in enumerate(stays):
        place = house.places[facts["place"]]
        visit = {
            "property": place,
            "guest": stored_guests[facts["guest"] % len(stored_guests)]
            if facts["guest"] is not None and stored_guests
            else None,
            "source_system": "pms",
            "source_reference": str(n),
            "arrival_date": facts["arrival_date"],
            "departure_date": facts["arrival_date"] + dt.timedelta(days=facts["nights"]),
            "room_type": house.rooms[place.pk] if facts["has_room_type"] else None,
            "currency": place.currency,
            **{name: facts[name] for name in ("rate_plan", "channel", "market_segment", "is_group")},
        }
        reservation = None
        if facts["lead_days"] is not None:
            booked_on = facts["arrival_date"] - dt.timedelta(days=facts["lead_days"])
            reservation = Reservation.objects.create(**visit, booked_on_date=booked_on)
        stored_stays.append(
            Stay.objects.create(**visit, reservation=reservation, net_total=facts["net_total"], status=facts["status"])
        )
    return stored_guests, stored_stays


def guest_facts(guest, drawn, stays):
    """The facts of a guest by hand, from what was drawn."""
    newest = {}
    for purpose, channel, granted, day in drawn["consents"]:
        at, _granted = newest.get((purpose, channel), (-1, False))
        if day >= at:
            newest[purpose, channel] = (day, granted)
    born = drawn["birthday"]
    finished = [s for s in stays if s.guest_id == guest.pk and s.status == "checked_out"]
    recent = [s for s in finished if dt.date(2025, 2, 28) < s.departure_date <= TODAY]
    return {
        "guest.gender": drawn["gender"] or None,
        "guest.birth_month": born and born.month,
        "guest.age": born and (TODAY.year - born.year - ((born.month, born.day) > (TODAY.month, TODAY.day))),
        "guest.nationality": drawn["nationality"] or None,
        "guest.language": drawn["language"] or None,
        "guest.company": drawn["company"] or None,
        "guest.tags": frozenset(OPTIONS["guest.tags"][t] for t in drawn["tags"]),
        "guest.preferences": frozenset(drawn["preferences"]),
        "guest.consents": frozenset(f"{p}:{c}" for (p, c), (_day, granted) in newest.items() if granted),
        "guest.has_phone": drawn["has_phone"],
        "guest.has_email": drawn["has_email"],
        "guest.created_date": drawn["created_at"].astimezone(NOW.tzinfo).date(),
        "guest.last_stay_date": drawn["last_stay_date"],
        "guest.stays": len(finished),
        "guest.stays_12m": len(recent),
        "guest.nights": sum(s.nights for s in finished),
        "guest.nights_12m": sum(s.nights for s in recent),
        "guest.revenue.CNY": sum(s.net_total for s in finished if s.currency == "CNY"),
        "guest.revenue.USD": sum(s.net_total for s in finished if s.currency == "USD"),
        "guest.revenue.CNY.12m": sum(s.net_total for s in recent if s.currency == "CNY"),
        "guest.revenue.USD.12m": sum(s.net_total for s in recent if s.currency == "USD"),
    }


# What a stay is told of a guest it does not have.
NOBODY = {
    "guest.tags": frozenset(),
    "guest.preferences": frozenset(),
    "guest.consents": frozenset(),
    "guest.has_phone": False,
    "guest.has_email": False,
    "guest.stays": 0,
    "guest.stays_12m": 0,
    "guest.nights": 0,
    "guest.nights_12m": 0,
    "guest.revenue.CNY": 0,
    "guest.revenue.USD": 0,
    "guest.revenue.CNY.12m": 0,
    "guest.revenue.USD.12m": 0,
}


def stay_facts(stay, drawn, stays, born):
    """The facts of a stay by hand."""
    earlier = [
        other
        for other in stays
        if other.guest_id == stay.guest_id
        and other.status == "checked_out"
        and (other.departure_date, other.pk) < (stay.departure_date, stay.pk)
    ]
    lead = drawn["lead_days"]
    return {
        "stay.property": stay.property.code,
        "stay.brand": stay.property.brand.code,
        "stay.city": stay.property.city or None,
        "stay.room_type": stay.room_type.code if stay.room_type else None,
        "stay.rate_plan": drawn["rate_plan"] or None,
        "stay.channel": drawn["channel"] or None,
        "stay.market_segment": drawn["market_segment"] or None,
        "stay.is_group": drawn["is_group"],
        "stay.arrival_date": stay.arrival_date,
        "stay.departure_date": stay.departure_date,
        "stay.arrival_weekday": stay.arrival_date.isoweekday(),
        "stay.departure_weekday": stay.departure_date.isoweekday(),
        "stay.arrival_month": stay.arrival_date.month,
        "stay.booked_on_date": None if lead is None else stay.arrival_date - dt.timedelta(days=lead),
        "stay.lead_days": lead,
        "stay.nights": drawn["nights"],
        "stay.net_total": stay.net_total,
        "stay.currency": stay.currency,
        "stay.is_first_stay": stay.guest_id is not None and not earlier,
        "stay.is_paid": stay.net_total > 0,
        "stay.is_in_birth_month": born is not None and born.month == stay.departure_date.month,
    }


def facts_by_hand(guests, drawn_guests, stays, drawn_stays):
    """Facts of every guest and stay, by target and primary key."""
    of_guests = {guest.pk: guest_facts(guest, drawn, stays) for guest, drawn in zip(guests, drawn_guests, strict=True)}
    born = {guest.pk: drawn["birthday"] for guest, drawn in zip(guests, drawn_guests, strict=True)}
    of_stays = {
        stay.pk: {
            **of_guests.get(stay.guest_id, {**dict.fromkeys(_guest_names()), **NOBODY}),
            **stay_facts(stay, drawn, stays, born.get(stay.guest_id)),
        }
        for stay, drawn in zip(stays, drawn_stays, strict=True)
    }
    return {"guest": of_guests, "stay": of_stays}


def _guest_names():
    return [field.name for field in own_fields("guest")]


MODELS = {"guest": Guest, "stay": Stay}


@pytest.mark.parametrize("target", ["guest", "stay"])
def test_sql_and_python_find_the_same_rows(house, target):
    fields = own_fields(target)

    @settings(max_examples=80, suppress_health_check=list(HealthCheck), deadline=None)
    @given(
        st.lists(GUESTS, min_size=1, max_size=3),
        st.lists(STAYS, max_size=5),
        st.lists(trees(fields, OPTIONS), min_size=1, max_size=6),
    )
    def check(drawn_guests, drawn_stays, drawn_trees):
        with transaction.atomic():
            guests, stays = store(house, drawn_guests, drawn_stays)
            facts = facts_by_hand(guests, drawn_guests, stays, drawn_stays)[target]
            for tree in drawn_trees:
                node = parse(tree, target)
                holds = compile_condition(node, today=TODAY)
                by_hand = sorted(pk for pk, known in facts.items() if holds(known))
                query = to_q(node, today=TODAY)
                found = MODELS[target].objects.filter(query).order_by("pk").values_list("pk", flat=True)
                rest = MODELS[target].objects.filter(to_q(parse({"not": tree}, target), today=TODAY))

                assert list(found) == by_hand, tree
                assert sorted(rest.values_list("pk", flat=True)) == sorted(set(facts) - set(by_hand)), tree
            transaction.set_rollback(True)

    check()


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.lists(GUESTS, min_size=1, max_size=3), st.lists(STAYS, max_size=5))
def test_facts_are_those_worked_out_by_hand(house, drawn_guests, drawn_stays):
    with transaction.atomic():
        guests, stays = store(house, drawn_guests, drawn_stays)
        by_hand = facts_by_hand(guests, drawn_guests, stays, drawn_stays)
        for target, model in MODELS.items():
            ids = list(model.objects.values_list("pk", flat=True))
            names = [field.name for field in own_fields(target)]

            assert facts_of(target, ids, fields=names, today=TODAY) == by_hand[target]
        transaction.set_rollback(True)


# Facts cost the same for one row and for thirty.


@pytest.mark.parametrize("rows", [1, 30])
def test_facts_take_one_query_and_one_for_each_field_of_several_values(house, django_assert_num_queries, rows):
    guests = [make_guest() for _row in range(rows)]
    names = ["guest.gender", "guest.age", "guest.stays", "guest.tags", "guest.consents"]

    with django_assert_num_queries(3):
        facts = facts_of("guest", [guest.pk for guest in guests], fields=names, today=TODAY)

    assert set(facts) == {guest.pk for guest in guests}
    assert set(facts[guests[0].pk]) == set(names)


def test_facts_hold_only_what_was_asked_for_and_only_rows_that_exist(house):
    guest = make_guest(gender="female")

    assert facts_of("guest", [guest.pk, guest.pk + 1], fields=["guest.gender", "gone"], today=TODAY) == {
        guest.pk: {"guest.gender": "female"}
    }


def test_reading_a_stored_tree_asks_the_database_nothing(house, django_assert_num_queries):
    with django_assert_num_queries(0):
        read({"all": [{"field": "stay.property", "op": "in", "value": ["BUND"]}]}, "stay")


# Joins multiply no rows.


def test_a_guest_with_two_of_the_tags_is_found_once(house):
    guest = make_guest()
    GuestTag.objects.bulk_create(GuestTag(guest=guest, tag=tag) for tag in house.tags)
    node = parse({"field": "guest.tags", "op": "has_any", "value": ["vip", "press"]}, "guest")

    assert list(Guest.objects.filter(to_q(node, today=TODAY))) == [guest]


# What cannot be understood matches nothing, in both.


@pytest.mark.parametrize("wrap", [lambda leaf: leaf, lambda leaf: {"not": leaf}])
def test_a_tree_with_an_unknown_field_finds_nobody(house, wrap):
    make_guest()
    node = read(wrap({"field": "guest.shoe_size", "op": "gte", "value": 40}), "guest")

    assert not Guest.objects.filter(to_q(node, today=TODAY)).exists()
    assert not matches(node, {"guest.shoe_size": 41})


# What apps above add


@pytest.fixture
def club():
    """A level above the guest, as an app above would register it, and facts that stand in no table."""
    register_fields(
        Field("member.level", "guest", Kind.TEXT, "level", expression=lambda prefix, _today: F(f"{prefix}company")),
        Field("member.points", "guest", Kind.NUMBER, "points"),
    )
    register_target(Target("standing", "what counts"))
    register_fields(
        Field("standing.nights", "standing", Kind.NUMBER, "nights", nullable=False),
        Field("standing.amount", "standing", Kind.MONEY, "amount", nullable=False),
    )
    yield
    unregister("guest", "member.level", "member.points")
    unregister("standing")


def test_fields_of_an_app_above_work_for_guests_and_for_their_stays(house, club):
    guest = make_guest(company="Gold")
    stay = Stay.objects.create(
        guest=guest,
        property=house.places[0],
        source_system="pms",
        source_reference="1",
        arrival_date=TODAY,
        departure_date=TODAY,
        currency="CNY",
    )
    tree = {"field": "member.level", "op": "is", "value": "gold"}

    for target, model, row in (("guest", Guest, guest), ("stay", Stay, stay)):
        node = parse(tree, target)
        assert list(model.objects.filter(to_q(node, today=TODAY))) == [row]
        facts = facts_of(target, [row.pk], fields=used_fields(node), today=TODAY)
        assert matches(node, facts[row.pk])


def test_an_override_takes_the_value_from_an_annotation(house, club):
    guest = make_guest(company="Gold")
    node = parse(
        {"all": [{"field": "member.level", "op": "is", "value": "gold"}, {"field": "member.points", "op": "gte", "value": 5}]},
        "guest",
    )  # fmt: skip
    rows = Guest.objects.annotate(level_then=Value("silver"), points_now=Value(7, output_field=IntegerField()))

    found = rows.filter(to_q(node, today=TODAY, overrides={"member.points": "points_now"}))
    then = rows.filter(to_q(node, today=TODAY, overrides={"member.points": "points_now", "member.level": "level_then"}))

    assert list(found) == [guest]
    assert list(then) == []
    with pytest.raises(NotInTheDatabase, match=r"member\.points"):
        to_q(node, today=TODAY)


def test_facts_without_a_table_are_judged_by_python_and_by_annotations(house, club):
    node = parse(
        {"any": [{"field": "standing.nights", "op": "gte", "value": 10}, {"field": "standing.amount", "op": "gt", "value": "5000"}]},
        "standing",
    )  # fmt: skip

    assert matches(node, {"standing.nights": 10, "standing.amount": Decimal(0)})
    assert not matches(node, {"standing.nights": 9, "standing.amount": Decimal(5000)})
    with pytest.raises(NotInTheDatabase):
        facts_of("standing", [1], fields=used_fields(node), today=TODAY)
    rows = Guest.objects.annotate(
        n=Value(9, output_field=IntegerField()), a=Value(Decimal("5000.01"), output_field=DecimalField())
    )
    guest = make_guest()
    overrides = {"standing.nights": "n", "standing.amount": "a"}
    assert list(rows.filter(to_q(node, today=TODAY, overrides=overrides))) == [guest]


def test_a_field_served_by_an_index_is_served_by_it_still(house):
    node = parse({"field": "guest.last_stay_date", "op": "on_or_after", "value": "2026-01-01"}, "guest")
    query = Guest.objects.filter(to_q(node, today=TODAY)).order_by(F("last_stay_date").desc(nulls_last=True), "-pk")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    assert "Index Cond: (last_stay_date >= '2026-01-01'::date)" in query.explain()
