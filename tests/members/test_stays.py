"""Posting, correcting, voiding and claiming stays, with real rows and without a programme."""

import datetime as dt
import threading
from decimal import Decimal

import pytest
from django.db import connection

from hotels.models import AuditEntry
from members.models import FolioLine, Guest, Stay
from members.services.stays import (
    FolioLineConflict,
    FolioLineInput,
    Outcome,
    StayAlreadyClaimed,
    StayConflict,
    StayInput,
    StayInputError,
    StayIsVoided,
    add_folio_lines,
    check_out_stay,
    claim_stay,
    post_stay,
    post_stays,
    void_stay,
)
from members.signals import stay_completed, stay_corrected, stay_voided, stays_completed
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db

ARRIVAL, DEPARTURE = dt.date(2026, 6, 13), dt.date(2026, 6, 15)


def line(reference="1", amount="428.00", **facts):
    return FolioLineInput(
        line_reference=reference,
        business_date=facts.pop("business_date", ARRIVAL),
        category=facts.pop("category", "room"),
        net_amount=Decimal(amount),
        **facts,
    )


def post(place, guest=None, *, lines=None, actor=None, **facts):
    return post_stay(
        **{
            "actor": actor,
            "now": NOW,
            "place": place,
            "source_system": "desk",
            "source_reference": "8821",
            "guest_id": guest.pk if guest else None,
            "arrival_date": ARRIVAL,
            "departure_date": DEPARTURE,
            "lines": [line("1"), line("2")] if lines is None else lines,
            "currency": "CNY",
            **facts,
        }
    )


def row(place, guest=None, number="1", **facts):
    return StayInput(
        **{
            "place_id": place.pk,
            "source_system": "pms",
            "source_reference": number,
            "guest_id": guest.pk if guest else None,
            "arrival_date": ARRIVAL,
            "departure_date": DEPARTURE,
            "lines": [line("1"), line("2")],
            "currency": "CNY",
            **facts,
        }
    )


@pytest.fixture
def announced():
    """What receivers were told, as (signal, stay ids)."""
    heard = []
    signals = {
        "completed": stay_completed,
        "corrected": stay_corrected,
        "voided": stay_voided,
        "many": stays_completed,
    }
    receivers = {}
    for name, signal in signals.items():

        def hear(*, name=name, stay_id=None, stay_ids=None, **_facts):
            heard.append((name, stay_ids or [stay_id]))

        receivers[name] = hear
        signal.connect(hear, weak=False)
    yield heard
    for name, signal in signals.items():
        signal.disconnect(receivers[name])


def test_a_posted_stay_has_its_lines_and_their_sum(announced):
    place, guest, clerk = make_property(), make_guest(), make_staff()

    stay = post(place, guest, actor=clerk)

    assert stay.net_total == Decimal("856.00")
    assert stay.status == "checked_out"
    assert stay.checked_out_at == NOW
    assert FolioLine.objects.filter(stay=stay, currency="CNY").count() == 2
    assert Guest.objects.get(pk=guest.pk).last_stay_date == DEPARTURE
    assert announced == [("completed", [stay.pk])]
    entry = AuditEntry.objects.get(action="stay.posted")
    assert (entry.actor, entry.property, entry.object_id) == (clerk, place, str(stay.pk))


def test_the_same_content_again_is_the_stored_stay(announced):
    place, guest = make_property(), make_guest()
    first = post(place, guest)

    again = post(place, guest, lines=[line("2", "428"), line("1", "428.0", description="night")])

    assert again.pk == first.pk
    assert len(announced) == 1
    assert FolioLine.objects.count() == 2


def test_the_same_content_after_a_correction_is_still_the_stored_stay():
    place, guest = make_property(), make_guest()
    stay = post(place, guest)
    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("3", "-28.00")])

    assert post(place, guest).net_total == Decimal("828.00")


def test_other_content_under_the_same_number_is_refused(announced):
    place, guest = make_property(), make_guest()
    stay = post(place, guest)

    with pytest.raises(StayConflict) as caught:
        post(place, guest, lines=[line("1", "999.00")])

    assert caught.value.stay == stay
    assert caught.value.code == "stay_conflict"
    assert len(announced) == 1


def test_a_number_may_repeat_at_another_property_or_in_another_system():
    guest = make_guest()
    place = make_property()

    stays = {post(place, guest), post(make_property(), guest), post(place, guest, source_system="pms")}

    assert len(stays) == 3


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"departure_date": dt.date(2026, 6, 12)}, "departure_date"),
        ({"source_reference": " "}, "source_reference"),
        ({"currency": "yuan"}, "currency"),
        ({"room_number": "12345678901"}, "room_number"),
        ({"status": "voided"}, "status"),
        ({"lines": [line("1"), line("1")]}, "lines"),
        ({"lines": [line("1", category="casino")]}, "lines"),
        ({"lines": [line("1", "0.001")]}, "lines"),
        ({"lines": [line("1", "NaN")]}, "lines"),
    ],
)
def test_facts_that_contradict_each_other_are_refused_at_their_field(facts, field):
    with pytest.raises(StayInputError) as caught:
        post(make_property(), make_guest(), **facts)

    assert list(caught.value.errors) == [field]
    assert not Stay.objects.exists()


def test_a_rebate_is_a_further_line(announced):
    place, guest = make_property(), make_guest()
    stay = post(place, guest)

    corrected = add_folio_lines(
        actor=None, now=NOW, stay_id=stay.pk, lines=[line("3", "-56.00")], reason="air conditioning"
    )

    assert corrected.net_total == Decimal("800.00")
    assert announced[-1] == ("corrected", [stay.pk])
    assert AuditEntry.objects.get(action="stay.corrected").reason == "air conditioning"


def test_a_line_sent_again_is_passed_over_and_a_changed_one_refused(announced):
    stay = post(make_property(), make_guest())

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("1")])
    with pytest.raises(FolioLineConflict):
        add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("3"), line("1", "1.00")])

    assert FolioLine.objects.count() == 2
    assert len(announced) == 1


def test_a_voided_stay_keeps_its_lines_and_is_no_last_stay(announced):
    place, guest = make_property(), make_guest()
    post(place, guest, source_reference="1", arrival_date=dt.date(2026, 5, 1), departure_date=dt.date(2026, 5, 2))
    stay = post(place, guest)

    void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="posted to the wrong guest")
    void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="again")

    assert Stay.objects.get(pk=stay.pk).status == "voided"
    assert FolioLine.objects.filter(stay=stay).count() == 2
    assert Guest.objects.get(pk=guest.pk).last_stay_date == dt.date(2026, 5, 2)
    assert [name for name, _ids in announced] == ["completed", "completed", "voided"]
    with pytest.raises(StayIsVoided):
        add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("3")])


def test_a_void_needs_a_reason():
    stay = post(make_property(), make_guest())

    with pytest.raises(StayInputError):
        void_stay(actor=None, now=NOW, stay_id=stay.pk, reason=" ")


def test_a_guest_in_the_house_brings_nothing_until_departure(announced):
    place, guest = make_property(), make_guest()
    stay = post(place, guest, status="in_house", room_number="1208", departure_date=dt.date(2026, 6, 20))

    assert announced == []
    assert Guest.objects.get(pk=guest.pk).last_stay_date is None
    check_out_stay(actor=None, now=NOW, stay_id=stay.pk)
    check_out_stay(actor=None, now=NOW, stay_id=stay.pk)

    stored = Stay.objects.get(pk=stay.pk)
    assert (stored.status, stored.departure_date) == ("checked_out", DEPARTURE)
    assert Guest.objects.get(pk=guest.pk).last_stay_date == DEPARTURE
    assert announced == [("completed", [stay.pk])]


def test_a_stay_in_the_house_sent_again_as_checked_out_is_finished(announced):
    place, guest = make_property(), make_guest()
    post(place, guest, status="in_house")

    stay = post(place, guest)

    assert stay.status == "checked_out"
    assert announced == [("completed", [stay.pk])]


def test_a_stay_without_a_guest_waits_and_is_claimed_once(announced):
    stay = post(make_property())
    guest = make_guest()

    claim_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=guest.pk)
    with pytest.raises(StayAlreadyClaimed):
        claim_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=make_guest("周丽").pk)

    assert Stay.objects.get(pk=stay.pk).guest == guest
    assert Guest.objects.get(pk=guest.pk).last_stay_date == DEPARTURE
    assert announced == [("completed", [stay.pk])]


def test_many_stays_take_a_fixed_number_of_statements(announced, django_assert_num_queries):
    place, guests = make_property(), [make_guest(f"客{number}") for number in range(3)]
    rows = [row(place, guests[number % 3], str(number)) for number in range(300)]

    with django_assert_num_queries(
        15
    ):  # six of the service, nine of the programme that finds neither member nor referral
        results = post_stays(actor=None, now=NOW, rows=rows)

    assert {result.outcome for result in results} == {Outcome.CREATED}
    assert [Stay.objects.get(pk=results[7].stay_id).source_reference] == ["7"]
    assert FolioLine.objects.count() == 600
    assert announced == [("many", [result.stay_id for result in results])]


def test_many_stays_again_change_nothing_and_conflicts_are_told_apart(announced):
    place, guest = make_property(), make_guest()
    first = post_stays(actor=None, now=NOW, rows=[row(place, guest, "1"), row(place, None, "2")])

    again = post_stays(
        actor=None,
        now=NOW,
        rows=[row(place, guest, "1"), row(place, None, "2", currency="EUR"), row(place, guest, "3", lines=[])],
    )

    assert [result.outcome for result in again] == [Outcome.UNCHANGED, Outcome.CONFLICT, Outcome.CREATED]
    assert [result.stay_id for result in again[:2]] == [result.stay_id for result in first]
    assert announced == [("many", [first[0].stay_id]), ("many", [again[2].stay_id])]


def test_two_rows_with_one_number_are_refused():
    place = make_property()

    with pytest.raises(StayInputError):
        post_stays(actor=None, now=NOW, rows=[row(place), row(place)])


def in_threads(number, work):
    """Run `work(index)` at the same moment in several threads; returns results and exceptions."""
    barrier, outcomes = threading.Barrier(number), [None] * number

    def run(index):
        barrier.wait()
        try:
            outcomes[index] = work(index)
        except Exception as error:  # noqa: BLE001
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_of_ten_guests_who_claim_at_once_one_gets_the_stay():
    stay = post(make_property())
    guests = [make_guest(f"客{number}") for number in range(10)]

    outcomes = in_threads(10, lambda index: claim_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=guests[index].pk))

    refused = [outcome for outcome in outcomes if isinstance(outcome, StayAlreadyClaimed)]
    winners = [outcome for outcome in outcomes if isinstance(outcome, Stay)]
    assert (len(refused), len(winners)) == (9, 1)
    assert Stay.objects.get(pk=stay.pk).guest_id == winners[0].guest_id


@pytest.mark.django_db(transaction=True)
def test_one_stay_posted_by_ten_at_once_is_one_stay():
    place, guest = make_property(), make_guest()

    outcomes = in_threads(10, lambda _index: post(place, guest).pk)

    assert len(set(outcomes)) == 1
    assert FolioLine.objects.count() == 2
