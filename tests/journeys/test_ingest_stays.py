"""`manage.py ingest_stays` on a small made file and on the real one."""

import csv
import datetime as dt
import gzip
import io
import json
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from hotels.models import Property
from loyalty.models import EarningRule, Membership, Posting, Programme, QualificationEntry
from members.models import FolioLine, Guest, Reservation, Stay
from tests.factories import base_rule, make_programme, make_property, publish_rules

pytestmark = pytest.mark.django_db

BASE = {
    "hotel": "Resort Hotel",
    "is_canceled": "0",
    "lead_time": "10",
    "arrival_date_year": "2016",
    "arrival_date_month": "July",
    "arrival_date_day_of_month": "1",
    "stays_in_weekend_nights": "1",
    "stays_in_week_nights": "2",
    "adults": "2",
    "children": "0",
    "babies": "0",
    "meal": "BB",
    "country": "PRT",
    "market_segment": "Direct",
    "distribution_channel": "Direct",
    "is_repeated_guest": "0",
    "reserved_room_type": "A",
    "assigned_room_type": "C",
    "agent": "NULL",
    "company": "NULL",
    "adr": "100.5",
    "reservation_status": "Check-Out",
    "reservation_status_date": "2016-07-04",
}
CANCELED = {"is_canceled": "1", "reservation_status": "Canceled", "reservation_status_date": "2016-06-01"}


def write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["src_row", *BASE])
        writer.writeheader()
        for number, row in enumerate(rows, start=1):
            writer.writerow({"src_row": str(number), **BASE, **row})
    return path


def ingest(path, *options):
    out = io.StringIO()
    call_command("ingest_stays", str(path), *options, stdout=out, stderr=out)
    return out.getvalue()


def everything():
    models = (Property, Programme, EarningRule, Guest, Membership, Reservation, Stay, FolioLine, Posting)
    return {model.__name__: model.objects.count() for model in (*models, QualificationEntry)}


def test_a_row_becomes_reservation_stay_lines_and_points(tmp_path):
    ingest(write(tmp_path / "b.csv", {}))

    place = Property.objects.get(code="H1")
    assert (place.country, place.currency, place.time_zone) == ("PT", "EUR", "Europe/Lisbon")
    stay = Stay.objects.select_related("guest", "room_type", "reservation").get()
    assert (stay.source_reference, stay.nights, str(stay.net_total), stay.currency) == ("1", 3, "301.50", "EUR")
    assert (stay.room_type.code, stay.channel, stay.market_segment) == ("C", "Direct", "Direct")
    assert stay.reservation.status == "checked_out"
    assert str(stay.reservation.booked_on_date) == "2016-06-21"
    assert [str(day) for day in stay.folio_lines.order_by("pk").values_list("business_date", flat=True)] == [
        "2016-07-01",
        "2016-07-02",
        "2016-07-03",
    ]
    assert stay.guest.nationality == "PT"
    assert " " in stay.guest.name
    posting = Posting.objects.get()
    assert (posting.points, posting.kind, str(posting.business_date)) == (2412, "earn", "2016-07-04")  # 8 a euro


def test_rows_that_must_not_earn_do_not(tmp_path):
    path = write(
        tmp_path / "b.csv",
        CANCELED,
        {"reservation_status": "No-Show", "is_canceled": "1"},
        {"adr": "-6.38"},
        {"adr": "0"},
        {"stays_in_weekend_nights": "0", "stays_in_week_nights": "0"},
    )

    ingest(path)

    assert list(Reservation.objects.order_by("pk").values_list("status", flat=True)) == [
        "canceled",
        "no_show",
        "checked_out",
        "checked_out",
        "checked_out",
    ]
    assert sorted(Stay.objects.values_list("source_reference", flat=True)) == ["3", "4", "5"]
    assert str(Stay.objects.get(source_reference="3").net_total) == "-19.14"
    assert not FolioLine.objects.filter(stay__source_reference="5").exists()
    assert not Posting.objects.exists()
    assert not QualificationEntry.objects.exists()


def test_rows_that_look_alike_are_bookings_of_their_own(tmp_path):
    ingest(write(tmp_path / "b.csv", {}, {}, {}))

    assert Stay.objects.count() == 3
    assert Guest.objects.count() == 3


def test_a_repeated_guest_is_the_one_who_left_last(tmp_path):
    later = {"arrival_date_month": "August", "is_repeated_guest": "1"}
    ingest(write(tmp_path / "b.csv", {}, {"country": "ESP"}, later, {**later, "country": "FRA"}))

    owners = dict(Reservation.objects.values_list("source_reference", "guest_id"))
    assert owners["3"] == owners["1"]
    assert len(set(owners.values())) == 3


def test_text_for_missing_values_is_no_value(tmp_path):
    ingest(write(tmp_path / "b.csv", {"country": "NULL", "children": "NA", "agent": "NULL", "company": "NULL"}))

    guest = Guest.objects.get()
    assert (guest.nationality, guest.company) == ("", "")
    assert Reservation.objects.get().children == 0


def test_a_second_run_changes_nothing(tmp_path):
    path = write(tmp_path / "b.csv", {}, {"is_repeated_guest": "1", "arrival_date_month": "August"}, CANCELED)
    ingest(path)
    before = everything()

    told = ingest(path)

    assert everything() == before
    assert "guests:       0 new" in told
    assert "stays:        2 unchanged" in told
    assert "points:       0 given" in told


def test_a_run_that_was_cut_off_is_completed(tmp_path):
    rows = [{}, {"is_repeated_guest": "1", "arrival_date_month": "August"}, {"country": "GBR"}]
    ingest(write(tmp_path / "part.csv", *rows[:1]))

    ingest(write(tmp_path / "whole.csv", *rows))

    owners = dict(Stay.objects.values_list("source_reference", "guest_id"))
    assert owners["2"] == owners["1"] != owners["3"]
    assert Posting.objects.filter(kind="earn").count() == 3


def test_a_programme_may_be_named_and_keeps_its_rules(tmp_path):
    programme = make_programme("CLUB")
    publish_rules(programme, base_rule(rate="5", name="欧元", currency="EUR"), start=dt.date(2010, 1, 1))

    ingest(write(tmp_path / "b.csv.gz", {}), "--programme", "CLUB", "--property", "ALGARVE")

    assert Posting.objects.get().points == 1507  # 301.50 × 5, rounded down
    assert Property.objects.get().code == "ALGARVE"
    assert Programme.objects.get() == programme


def test_a_gzip_file_is_recognised_by_its_content(tmp_path):
    plain = write(tmp_path / "b.csv", {})
    packed = tmp_path / "b.data"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert "1 created" in ingest(packed)


def test_a_wrong_row_does_not_block_a_right_one(tmp_path):
    path = write(tmp_path / "b.csv", {"adr": "cheap"}, {}, {"arrival_date_month": "Brumaire"})

    with pytest.raises(CommandError, match="2 rows could not be read"):
        ingest(path)

    assert Stay.objects.get().source_reference == "2"


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x1f\x8bbroken", b"\xff\xfe\x00"])
def test_a_file_that_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "b.csv"
    path.write_bytes(content)

    with pytest.raises(CommandError):
        ingest(path)
    with pytest.raises(CommandError):
        ingest(tmp_path / "absent.csv")

    assert not Property.objects.exists()


def test_an_unknown_programme_is_refused(tmp_path):
    with pytest.raises(CommandError, match="no programme NOPE"):
        ingest(write(tmp_path / "b.csv", {}), "--programme", "NOPE")


def test_a_property_that_charges_in_another_currency_is_refused(tmp_path):
    make_property("SH1")

    with pytest.raises(CommandError, match="SH1 charges in CNY"):
        ingest(write(tmp_path / "b.csv", {}), "--property", "SH1")
    with pytest.raises(CommandError):
        ingest(write(tmp_path / "b.csv", {}), "--property", "no code")

    assert not Reservation.objects.exists()


def test_two_runs_at_once_do_not_make_guests_twice(tmp_path):
    path = write(tmp_path / "b.csv", {})
    ingest(path)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [f"ingest_bookings {Property.objects.get().pk}"])

    with pytest.raises(CommandError, match="Another run"):
        ingest(path)
    other.close()

    assert "1 unchanged" in ingest(path)


def test_verify_fails_on_a_difference(tmp_path):
    totals = tmp_path / "totals.json"
    totals.write_text(json.dumps({"rows": 1, "room_revenue_checked_out": 301.51}))

    with pytest.raises(CommandError, match="1 totals differ"):
        ingest(write(tmp_path / "b.csv", {}), "--verify", str(totals))


@pytest.mark.parametrize("content", ["{}", "[1]", '{"rows": "many"}', '{"by_channel": [1]}', "{"])
def test_verify_refuses_a_file_without_totals(tmp_path, content):
    totals = tmp_path / "totals.json"
    totals.write_text(content)

    with pytest.raises(CommandError, match=r"holds no totals|cannot be read"):
        ingest(write(tmp_path / "b.csv", {}), "--verify", str(totals))


@pytest.mark.real_inputs
@pytest.mark.slow
def test_the_real_file_matches_its_totals_to_the_cent_and_twice_changes_nothing():
    folder = Path(settings.GUIKE_REAL_INPUTS) / "hotel_bookings"
    if not folder.is_dir():
        pytest.skip(f"the real bookings are not at {folder}; GUIKE_REAL_INPUTS may name their folder")
    bookings, totals = folder / "H1_resort.csv.gz", folder / "H1_totals.json"

    told = ingest(bookings, "--verify", str(totals))
    before = everything()
    again = ingest(bookings, "--verify", str(totals))

    assert "DIFFERS" not in told + again
    assert everything() == before
    assert "stays:        28,938 unchanged" in again
    assert not Posting.objects.filter(points__lte=0).exists()
    negative = Stay.objects.get(source_reference="14970")
    assert not Posting.objects.filter(source_reference=f"{negative.property_id}/14970").exists()
