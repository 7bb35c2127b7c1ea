"""Guests who are probably one person: what is compared, what is merged without asking, what people decide."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from hotels.models import Role
from members.models import Guest, GuestMerge, LinkageRun, MergeCandidate, NotSamePerson
from members.rules.linkage import email_identifies, in_words, phone_identifies
from members.selectors.duplicates import likely_guests
from members.services.guests import create_guest
from members.services.linkage import LinkageRunning, request_linkage, run_linkage
from members.services.merges import mark_two_people
from tests.factories import NOW, make_property, make_staff

pytestmark = pytest.mark.django_db


def guest(name, phone="", **fields):
    return create_guest(actor=None, now=NOW, name=name, phone=phone, source="test", **fields)


def link():
    request_linkage(actor=None, now=NOW)
    return run_linkage(now=NOW)


@pytest.fixture
def agent(client):
    user = make_staff(Role.GUEST_SERVICE, place=make_property())
    client.force_login(user)
    return client


def test_what_is_certain_is_merged_and_the_rest_is_looked_at():
    born = dt.date(1990, 1, 2)
    kept = guest("陈思远", "13800138000", birthday=born, gender="male")
    gone = guest("陈思源", "13800138001", birthday=born, gender="male")
    perhaps = guest("陈思远", "13912345670", birthday=born, gender="male")
    guest("李四", "13700137002", birthday=dt.date(1970, 5, 5))

    run = link()

    assert (run.state, run.guest_count, run.merged_count) == ("done", 4, 1)
    merge = GuestMerge.objects.get()
    assert {merge.survivor_id, merge.merged_id} == {kept.pk, gone.pk}
    candidates = MergeCandidate.objects.filter(state="open")
    assert {pk for row in candidates for pk in (row.first_id, row.second_id)} == {merge.survivor_id, perhaps.pk}


def test_two_people_are_not_proposed_again_and_not_merged():
    born = dt.date(1990, 1, 2)
    first = guest("陈思远", "13800138000", birthday=born)
    second = guest("陈思源", "13800138001", birthday=born)
    mark_two_people(actor=None, now=NOW, guest_ids=(first.pk, second.pk))
    link()
    assert GuestMerge.objects.count() == MergeCandidate.objects.count() == 0


def test_relays_switchboards_and_placeholders_link_nobody(settings):
    settings.GUIKE_SHARED_PHONES = ["+862187654321", "+862187654322"]
    guest("陈思远", "021-87654321", birthday=dt.date(1990, 1, 2))
    guest("李明", "021-87654322", birthday=dt.date(1981, 1, 2))
    link()
    assert MergeCandidate.objects.count() == GuestMerge.objects.count() == 0
    assert not email_identifies("x@sub.guest.airbnb.com")
    assert email_identifies("x@example.com")
    assert [phone_identifies(number) for number in ("+864001234567", "+8613888888888", "+8613800138000")] == [
        False,
        False,
        True,
    ]


def test_one_search_at_a_time():
    request_linkage(actor=None, now=NOW)
    with pytest.raises(LinkageRunning):
        request_linkage(actor=None, now=NOW)
    assert run_linkage(now=NOW) is not None
    assert run_linkage(now=NOW) is None
    assert LinkageRun.objects.get().state == "done"


def test_evidence_in_words():
    with translation.override("en"):
        words = in_words(["name_same", "birthday_other"])
    assert words == [(True, "Same name"), (False, "Different birthdays")]


def test_a_new_guest_is_compared_with_those_who_are_known():
    known = guest("陈思远", "13800138000", birthday=dt.date(1990, 1, 2))
    guest("陈思远", "13800138009", birthday=dt.date(1971, 1, 2))
    with translation.override("en"):
        (likely,) = likely_guests(name="陈思源", phone="13999998000", birthday=dt.date(1990, 1, 2))
    assert (likely.guest, likely.is_strong) == (known, True)
    assert likely.words == ["Names that sound the same", "Same birthday", "Same last four digits of the phone"]


def pair_of(weight=3.0):
    first, second = guest("陈思远"), guest("陈思源")
    return MergeCandidate.objects.create(
        first=first, second=second, weight=weight, evidence=["name_sound"], found_at=NOW
    )


def test_the_queue_page_by_page(agent, django_assert_num_queries):
    pair_of()
    with CaptureQueriesContext(connection) as of_one:
        agent.get(reverse("members:duplicates"))
    count = len(of_one)
    MergeCandidate.objects.all().delete()
    for _each in range(31):
        pair_of()
    page = agent.get(reverse("members:duplicates"))
    assert page.content.count(b"row-link") == 30
    with django_assert_num_queries(count):
        agent.get(reverse("members:duplicates"))
    more = agent.get(reverse("members:duplicates"), {"after": page.context["next"]})
    assert more.content.count(b"row-link") == 1


def test_merging_and_undoing_on_the_page(agent):
    row = pair_of()
    address = reverse("members:duplicate", args=[row.first.public_id, row.second.public_id])
    assert "姓名读音相同" in agent.get(address).content.decode()
    agent.post(address, {"choice": str(row.second.public_id)})
    merge = GuestMerge.objects.get()
    assert (merge.survivor, merge.merged) == (row.second, row.first)
    card = agent.get(reverse("members:guest", args=[row.first.public_id]))
    assert card.url == reverse("members:guest", args=[row.second.public_id])
    assert "已并入本档案" in agent.get(card.url).content.decode()
    undo = reverse("members:undo_merge", args=[merge.public_id])
    assert "恢复为两份档案" in agent.get(undo).content.decode()
    agent.post(undo, {"reason": "two people"})
    assert Guest.objects.exclude(merged_into=None).count() == 0
    assert NotSamePerson.objects.count() == 1
    row.refresh_from_db()
    assert row.state == "apart"


def test_not_the_same_person_and_later(agent):
    first, second = pair_of(5), pair_of(4)
    for row, choice in ((first, "apart"), (second, "later")):
        address = reverse("members:duplicate", args=[row.first.public_id, row.second.public_id])
        agent.post(address, {"choice": choice})
    assert list(MergeCandidate.objects.order_by("pk").values_list("state", flat=True)) == ["apart", "later"]
    assert NotSamePerson.objects.count() == 1
