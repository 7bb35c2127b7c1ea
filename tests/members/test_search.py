import datetime as dt
import itertools
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from members.models import Guest, Reservation, Stay
from members.rules.search import SearchTerms, grams, prefix_end, read_query
from members.selectors.search import search_guests
from members.services.guests import GuestInput, add_membership_numbers, create_guest, create_guests
from members.services.preferences import add_preference
from tests.factories import NOW, make_property

TODAY = NOW.date()


@pytest.fixture
def place(db):
    return make_property("SHA")


def enrol(name="陈思远", *, stayed_days_ago=None, **facts):
    guest = create_guest(actor=None, now=NOW, name=name, source="desk", **facts)
    if stayed_days_ago is not None:
        Guest.objects.filter(pk=guest.pk).update(last_stay_date=TODAY - dt.timedelta(days=stayed_days_ago))
    return guest


def in_house(guest, place, *, room="1208", nights=2, reference=""):
    return Stay.objects.create(
        property=place,
        guest=guest,
        source_system="pms",
        source_reference=reference or f"S{guest.pk}",
        arrival_date=TODAY - dt.timedelta(days=1),
        departure_date=TODAY + dt.timedelta(days=nights - 1),
        room_number=room,
        status=Stay.Status.IN_HOUSE,
        currency="CNY",
    )


def booked(guest, place, *, days_ahead=0, room="", reference="", status=Reservation.Status.RESERVED):
    return Reservation.objects.create(
        property=place,
        guest=guest,
        source_system="pms",
        source_reference=reference or f"R{guest.pk}-{days_ahead}",
        arrival_date=TODAY + dt.timedelta(days=days_ahead),
        departure_date=TODAY + dt.timedelta(days=days_ahead + 2),
        room_number=room,
        status=status,
        currency="CNY",
    )


def found(query, place=None, **options):
    return [hit.guest_id for hit in search_guests(query=query, place=place, today=TODAY, **options)]


# What was typed


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("6621", {"digits": "6621", "code": "6621"}),
        ("138 0013 8000", {"digits": "13800138000", "code": "13800138000"}),
        ("+86 13800138000", {"digits": "8613800138000"}),
        ("陈思", {"name": "陈思"}),
        ("陈 思远", {"name": "陈思远"}),
        ("陈6621", {"name": "陈", "tail": "6621"}),
        ("chen 6621", {"name": "chen", "pinyin": "chen", "tail": "6621", "code": "CHEN6621"}),
        ("Chen Siyuan", {"name": "chen siyuan", "pinyin": "chensiyuan", "code": "CHENSIYUAN"}),
        ("lyu", {"name": "lyu", "pinyin": "lv", "code": "LYU"}),
        ("gk 0012", {"name": "gk", "pinyin": "gk", "tail": "0012", "code": "GK0012"}),
        ("120", {"code": "120"}),
        ("a@b.cn", {}),
        ("阿依古丽•买", {"name": "阿依古丽·买"}),
        ("   ", {}),
        ("\x00", {}),
    ],
)
def test_readings_of_a_query(query, terms):
    read = read_query(query)

    assert read == SearchTerms(text=read.text, **terms)


@given(st.text(max_size=200))
def test_any_query_can_be_read(query):
    terms = read_query(query)

    assert len(terms.tail) in {0, 4}
    assert "\x00" not in terms.text + terms.name + terms.code


@given(st.text(alphabet="陈思ab ", max_size=12))
def test_grams_of_a_part_are_grams_of_the_whole(text):
    assert set(grams(text)) <= set(grams(f"x{text}y"))


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.text())
def test_a_prefix_ends_above_everything_that_starts_with_it(prefix, rest):
    assert prefix <= prefix + rest < prefix_end(prefix)


# Finding


@pytest.mark.parametrize(
    "query",
    [
        "13800136621",
        "+86 138 0013 6621",
        "6621",
        "136621",
        "0136621",
        "陈思远",
        "陈思",
        "思远",
        "陈",
        "陈6621",
        "陈思远 6621",
        "chen6621",
        "csy6621",
        "chensiyuan",
        "Chen Si Yuan",
        "chensi",
        "c",
        "csy",
        "11010519491231002X",
        "11010519491231002x",
        "002X",
        "GK00000123",
        "gk 0000 0123",
        "GK0000",
        "chen@example.com",
    ],
)
def test_every_way_to_name_a_guest(place, query):
    guest = enrol(phone="13800136621", email="chen@example.com", document_number="11010519491231002X")
    add_membership_numbers(issuer="P1", numbers=[(guest.pk, "GK00000123")], now=NOW)
    enrol("王伟", phone="13900139000", email="wang@example.com")

    assert found(query, place) == [guest.pk]
    assert found(query) == [guest.pk]


@pytest.mark.parametrize("query", ["john", "smith", "Smith John", "johnsm", "js", "JOHN SMITH", "mit"])
def test_latin_names(query):
    guest = enrol("John Smith")
    enrol("Jane Miller")

    assert found(query) == [guest.pk]


test_latin_names = pytest.mark.django_db(test_latin_names)


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["买买", "阿依古丽·买买提", "阿依古丽•买买提", "ayiguli"])
def test_names_with_a_middle_dot(query):
    guest = enrol("阿依古丽·买买提")

    assert found(query) == [guest.pk]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["", " ", "%", "_", "'", "\\", "\x00", "张", "zz", "9999", "陈9999", "x@y.cn", "김 민", "a" * 500, "12"]
)
def test_nothing_is_found_where_nothing_fits(query):
    enrol(phone="13800136621")

    assert found(query) == []


def test_rooms_and_booking_numbers(place):
    staying, arriving, elsewhere = enrol(), enrol("王伟"), enrol("李娜")
    in_house(staying, place, room="1208", reference="PMS-77")
    booked(arriving, place, room="A305", reference="BK20260615")
    in_house(elsewhere, make_property(), room="1208")

    assert found("1208", place) == [staying.pk]
    assert found("a305", place) == [arriving.pk]
    assert found("bk20260615", place) == [arriving.pk]
    assert found("PMS-77", place) == [staying.pk]
    assert found("1208") == []


# Ranking


def test_an_exact_room_ranks_before_a_last_four(place):
    phone_ends_so = enrol("王伟", phone="13800131208", stayed_days_ago=1)
    in_room = enrol()
    in_house(in_room, place, room="1208")

    assert found("1208", place) == [in_room.pk, phone_ends_so.pk]


def test_who_is_here_ranks_before_who_arrives_before_the_newest_stay(place):
    never = enrol("王伟")
    long_ago = enrol("王伟强", stayed_days_ago=500)
    yesterday = enrol("王伟", stayed_days_ago=1)
    arriving = enrol("王伟明")
    staying = enrol("王伟")
    next_week = enrol("王伟", stayed_days_ago=2)
    in_house(staying, place)
    booked(arriving, place)
    booked(next_week, place, days_ahead=7)

    expected = [guest.pk for guest in (staying, arriving, yesterday, next_week, long_ago, never)]
    assert found("王伟", place) == expected
    assert found("wangwei", place) == expected


def test_who_is_here_is_never_crowded_out(place):
    staying = enrol("王伟", phone="13800000001")
    for number in range(30):
        enrol("王伟", stayed_days_ago=number)
    in_house(staying, place)

    for query in ("王", "王伟", "wangwei", "ww", "w"):
        assert found(query, place, limit=5)[0] == staying.pk


@pytest.mark.django_db
@pytest.mark.parametrize(("query", "name"), [("建华", "李建华"), ("wang", "王建华"), ("smith", "John Smith")])
def test_with_more_hits_than_can_be_sorted_the_newest_stays_still_come_first(monkeypatch, query, name):
    monkeypatch.setattr("members.selectors.search.GRAM_CAP", 3)
    monkeypatch.setattr("members.selectors.search.PINYIN_CAP", 3)
    guests = [enrol(name, stayed_days_ago=100 - number) for number in range(8)]
    enrol("赵敏", stayed_days_ago=0)

    assert found(query, limit=3) == [guest.pk for guest in guests[:-4:-1]]


@pytest.mark.django_db
def test_names_that_start_with_the_characters_fill_the_list_first():
    starting = [enrol("建华", stayed_days_ago=50) for _number in range(3)]
    further_back = enrol("李建华", stayed_days_ago=1)

    assert found("建华", limit=3) == [guest.pk for guest in reversed(starting)]
    assert found("建华", limit=4)[0] == further_back.pk


def test_a_whole_phone_number_finds_its_guest_alone(place):
    whole = enrol("王伟", phone="13800136621")
    enrol("李娜", phone="13911116621", stayed_days_ago=1)

    assert found("13800136621", place) == [whole.pk]


@pytest.mark.django_db
def test_a_longer_end_is_compared_after_decryption():
    one = enrol("王伟", phone="13800136621")
    other = enrol("李娜", phone="13911116621")

    assert set(found("6621")) == {one.pk, other.pk}
    assert found("36621") == [one.pk]
    assert found("9111 16621") == [other.pk]


# What a hit says


def test_a_hit_is_masked_and_says_alert_and_visit(place):
    guest = enrol(phone="13800136621", gender="female", birthday=dt.date(1990, 6, 18), stayed_days_ago=30)
    add_preference(actor=None, now=NOW, guest_id=guest.pk, category="allergy", text="花生", source="desk", place=place)
    stay = in_house(guest, place, room="1208", nights=3)

    (hit,) = search_guests(query="6621", place=place, today=TODAY)

    assert (hit.public_id, hit.name, hit.gender, hit.birthday) == (
        guest.public_id,
        "陈思远",
        "female",
        dt.date(1990, 6, 18),
    )
    assert (hit.phone, hit.has_alert, hit.matched) == ("138 **** 6621", True, "phone")
    assert (hit.room, hit.status, hit.status_date) == ("1208", "in_house", stay.departure_date)
    assert hit.last_stay_date == TODAY - dt.timedelta(days=30)


def test_the_visit_of_a_hit(place):
    leaving, arriving, later, elsewhere = enrol("王伟"), enrol("王伟"), enrol("王伟"), enrol("王伟")
    in_house(leaving, place, nights=1)
    booked(arriving, place, room="0901")
    booked(arriving, place, days_ahead=9)
    booked(later, place, days_ahead=5)
    booked(elsewhere, make_property())

    hits = {hit.guest_id: hit for hit in search_guests(query="王伟", place=place, today=TODAY)}

    assert (hits[leaving.pk].status, hits[leaving.pk].status_date) == ("due_out", TODAY)
    assert (hits[arriving.pk].status, hits[arriving.pk].status_date, hits[arriving.pk].room) == (
        "due_in",
        TODAY,
        "0901",
    )
    assert (hits[later.pk].status, hits[later.pk].status_date) == ("due_in", TODAY + dt.timedelta(days=5))
    assert (hits[elsewhere.pk].status, hits[elsewhere.pk].status_date) == ("", None)


def test_a_booking_in_house_counts_as_present(place):
    guest = enrol()
    booked(guest, place, days_ahead=-1, room="1208", status=Reservation.Status.IN_HOUSE)

    (hit,) = search_guests(query="1208", place=place, today=TODAY)

    assert (hit.guest_id, hit.status, hit.matched) == (guest.pk, "in_house", "room")


def test_canceled_bookings_and_voided_stays_do_not_count(place):
    guest = enrol()
    booked(guest, place, room="1208", status=Reservation.Status.CANCELED)
    Stay.objects.filter(pk=in_house(guest, place, room="1208").pk).update(status=Stay.Status.VOIDED)

    assert found("1208", place) == []
    (hit,) = search_guests(query="陈思远", place=place, today=TODAY)
    assert hit.status == ""


@pytest.mark.parametrize(
    ("query", "count"),
    [("13800136621", 1)]
    + [(query, 20) for query in ("6621", "陈", "陈思", "陈思远", "csy", "chen", "陈6621", "GK1", "1208")],
)
def test_two_statements_for_one_guest_or_thirty(place, django_assert_num_queries, query, count):
    for number in range(30):
        guest = enrol(phone=f"138{number:04d}6621")
        in_house(guest, place)
        add_membership_numbers(issuer="P1", numbers=[(guest.pk, f"GK1{guest.pk}")], now=NOW)

    with django_assert_num_queries(2):
        hits = search_guests(query=query, place=place, today=TODAY)

    assert len(hits) == count


def test_without_candidates_there_is_nothing_to_describe(place, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert found("陈思远", place) == []
    with django_assert_num_queries(0):
        assert found(" ", place) == []


@pytest.fixture
def many_guests(place):
    surnames, given = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗", "伟芳娜敏静强磊军洋勇艳杰娟涛超霞平刚辉思建华明远国"
    names = itertools.product(surnames, given, given)
    rows = [
        GuestInput(name="".join(name), phone=f"138{number:08d}", membership_number=f"GK{number:08d}")
        for number, name in enumerate(names)
    ]
    create_guests(actor=None, now=NOW, rows=rows, source="test")
    Reservation.objects.bulk_create(
        Reservation(
            property=place,
            source_system="pms",
            source_reference=f"R{number}",
            arrival_date=TODAY - dt.timedelta(days=number % 300),
            departure_date=TODAY,
            status=Reservation.Status.CHECKED_OUT,
            currency="CNY",
        )
        for number in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE members_guest, members_guestidentity, members_reservation, members_stay")
    return place


def test_no_reading_of_a_query_scans_the_guests(many_guests, monkeypatch):
    # In proportion to the guests of the test.
    monkeypatch.setattr("members.selectors.search.WALK_CAP", 240)
    monkeypatch.setattr("members.selectors.search.GRAM_CAP", 20)
    queries = ["13800136621", "6621", "36621", "GK00000012", "GK0000", "王", "王伟", "建华", "陈思远", "陈6621"]
    queries += ["csy", "chensi", "smith", "1208", "R12", "c@example.com", "002X"]
    scans = {}
    for query in queries:
        with CaptureQueriesContext(connection) as captured:
            search_guests(query=query, place=many_guests, today=TODAY)
        for statement in [entry["sql"] for entry in captured]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + statement.replace("%", "%%"))
                plan = "\n".join(line for (line,) in cursor.fetchall())
            found_scans = re.findall(r"Seq Scan on (members_(?:guest|guestidentity|reservation)\b)", plan)
            if found_scans:
                scans[query] = found_scans

    assert scans == {}
