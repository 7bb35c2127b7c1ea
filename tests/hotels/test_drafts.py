"""Drafts: kept on the server, restored with a notice, gone when the form is sent."""

import datetime as dt
import re
import uuid

import pytest
from django.urls import reverse, reverse_lazy
from django.utils import timezone

from feedback.models import Ticket
from feedback.services import open_ticket
from hotels.models import Draft
from hotels.selectors import draft_of
from hotels.services import drafts
from hotels.services.drafts import DraftRefused, delete_old_drafts, discard_draft, save_draft
from hotels.tasks import delete_old_drafts as delete_task
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db

TICKET = "feedback.ticket"
URL = reverse_lazy("hotels:draft")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def user(client, place):
    found = make_staff(place=place)
    client.force_login(found)
    return found


@pytest.fixture
def guest():
    return make_guest()


def keep(user, guest, now=NOW, key=None, **content):
    facts = {"actor": user, "now": now, "form": TICKET, "object_id": guest.public_id, "key": key}
    return save_draft(**facts, content=content)


def sent(guest, **fields):
    return {"draft_form": TICKET, "draft_object": str(guest.public_id), "request_key": str(uuid.uuid4()), **fields}


def test_only_the_fields_of_the_form_are_kept_and_cut_to_size(user, guest):
    draft = keep(user, guest, subject="空\x00调", description="长" * 9000, csrfmiddlewaretoken="secret", extra="x")

    assert draft.content == {"subject": "空调", "description": "长" * drafts.LONGEST}


def test_a_form_without_a_word_keeps_nothing_and_clears_what_was_kept(user, guest):
    keep(user, guest, subject="空调")

    assert keep(user, guest, subject="  ", category="noise") is None
    assert not Draft.objects.exists()


def test_a_draft_is_its_owners_alone(user, guest, place):
    keep(user, guest, subject="空调")

    assert draft_of(user=make_staff(place=place), now=NOW, form=TICKET, object_id=guest.public_id) is None
    assert draft_of(user=user, now=NOW, form=TICKET, object_id=make_guest().public_id) is None
    assert draft_of(user=user, now=NOW, form="feedback.note", object_id=guest.public_id) is None


def test_a_draft_ends_after_its_days_and_is_deleted(user, guest):
    keep(user, guest, subject="空调")
    keep(user, make_guest(), subject="新的", now=NOW + dt.timedelta(days=1))
    end = NOW + drafts.KEPT

    assert draft_of(user=user, now=end - dt.timedelta(seconds=1), form=TICKET, object_id=guest.public_id)
    assert draft_of(user=user, now=end, form=TICKET, object_id=guest.public_id) is None
    assert delete_old_drafts(now=end) == 1
    assert Draft.objects.get().content == {"subject": "新的"}


def test_the_task_deletes_them(user, guest):
    keep(user, guest, subject="空调", now=timezone.now() - dt.timedelta(days=8))

    assert delete_task() == 1


def test_a_save_that_comes_after_the_form_was_sent_is_ignored(user, guest):
    key = uuid.uuid4()
    keep(user, guest, subject="空调", key=key)
    discard_draft(actor=user, now=NOW, form=TICKET, object_id=guest.public_id, key=key)

    assert keep(user, guest, subject="空调", key=key) is None
    assert draft_of(user=user, now=NOW, form=TICKET, object_id=guest.public_id) is None
    assert keep(user, guest, subject="下一张", key=uuid.uuid4()).content == {"subject": "下一张"}


def test_a_form_that_keeps_no_drafts_is_refused(client, user, guest):
    with pytest.raises(DraftRefused):
        save_draft(actor=user, now=NOW, form="loyalty.redeem", object_id=guest.public_id, content={"reward": "1"})

    assert client.post(URL, {**sent(guest), "draft_form": "loyalty.redeem"}).status_code == 400
    assert client.post(URL, {**sent(guest), "draft_object": "1"}).status_code == 400
    assert not Draft.objects.exists()


def test_a_complaint_is_restored_with_a_notice_after_signing_out_and_in(client, user, guest):
    answer = client.post(URL, sent(guest, subject="空调噪音", severity="critical", description="客人很生气"))
    client.logout()
    client.force_login(user)

    html = client.get(reverse("feedback:open_ticket", args=[guest.public_id])).content.decode()

    assert "草稿已于" in answer.content.decode()
    assert 'value="空调噪音"' in html
    assert "客人很生气</textarea>" in html
    assert re.search(r'value="critical"[^>]* checked|checked[^>]* value="critical"', html)
    assert "已恢复您" in html
    assert "放弃草稿" in html


def test_without_a_draft_there_is_no_notice(client, user, guest):
    html = client.get(reverse("feedback:open_ticket", args=[guest.public_id])).content.decode()

    assert "放弃草稿" not in html
    assert f'data-draft-object="{guest.public_id}"' in html


def test_logging_the_ticket_deletes_its_draft(client, user, guest):
    data = sent(guest, subject="空调噪音", category="noise", severity="high", department="", description="")
    client.post(URL, data)

    client.post(reverse("feedback:open_ticket", args=[guest.public_id]), data)
    client.post(URL, data)  # the automatic save that was under way

    html = client.get(reverse("feedback:open_ticket", args=[guest.public_id])).content.decode()
    assert Ticket.objects.count() == 1
    assert 'value="空调噪音"' not in html
    assert "放弃草稿" not in html


def test_a_refused_ticket_keeps_its_draft(client, user, guest):
    data = sent(guest, subject="", category="noise", severity="high", department="", description="很吵")
    client.post(URL, data)

    client.post(reverse("feedback:open_ticket", args=[guest.public_id]), data)

    assert Draft.objects.get().content["description"] == "很吵"


@pytest.mark.parametrize(("name", "field"), [("note", "text"), ("close", "resolution")])
def test_words_on_a_ticket_are_restored_and_gone_when_sent(client, user, guest, place, name, field):
    ticket = open_ticket(
        actor=user, now=NOW, guest_id=guest.pk, place=place, category="noise", severity="high", subject="空调"
    )
    page = reverse("feedback:ticket", args=[ticket.public_id])
    data = {
        "draft_form": f"feedback.{name}",
        "draft_object": str(ticket.public_id),
        "request_key": str(uuid.uuid4()),
        "root_cause": "staff",
        field: "已致电客人",
    }
    client.post(URL, data)
    restored = client.get(page).content.decode()

    client.post(reverse(f"feedback:{name}", args=[ticket.public_id]), data)

    assert "已致电客人</textarea>" in restored
    assert "放弃草稿" in restored
    assert "放弃草稿" not in client.get(page).content.decode()
    assert ticket.events.filter(text="已致电客人").count() == 1


def test_a_draft_is_discarded_and_the_reader_stays_on_the_page(client, user, guest):
    client.post(URL, sent(guest, subject="空调"))
    page = reverse("feedback:open_ticket", args=[guest.public_id])

    answer = client.post(URL, {**sent(guest), "discard": "1"}, headers={"Referer": f"http://testserver{page}"})
    elsewhere = client.post(URL, {**sent(guest), "discard": "1"}, headers={"Referer": "https://evil.example/"})

    assert (answer.status_code, answer["Location"]) == (302, page)
    assert elsewhere.status_code == 204
    assert not Draft.objects.exists()
