import uuid

import pytest

from hotels.models import AuditEntry
from members.models import Tag
from members.services.preferences import (
    NoteConflict,
    NoteNotFound,
    PreferenceError,
    add_preference,
    add_tag,
    remove_preference,
    remove_tag,
)
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db


def note(guest, text="高楼层", category="room", **facts):
    return add_preference(
        actor=None, now=NOW, guest_id=guest.pk, category=category, text=text, source="desk", place=None, **facts
    )


def test_a_preference_is_a_wish_unless_said_otherwise():
    guest, place = make_guest(), make_property()
    receptionist = make_staff(place=place)

    preference = add_preference(
        actor=receptionist,
        now=NOW,
        guest_id=guest.pk,
        category="room",
        text="  高楼层 ",
        source="desk",
        place=place,
    )

    assert (preference.text, preference.severity, preference.created_by) == ("高楼层", "wish", receptionist)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.property, entry.after["text"]) == ("preference.added", place, "高楼层")


@pytest.mark.parametrize("category", ["allergy", "medical"])
@pytest.mark.parametrize("severity", [None, "wish", "alert"])
def test_allergies_and_medical_notes_are_always_alerts(category, severity):
    assert note(make_guest(), "花生", category, severity=severity).severity == "alert"


def test_the_same_note_again_changes_its_severity():
    guest = make_guest()
    first = note(guest)

    again = note(guest, severity="notice")
    note(guest, severity="notice")

    assert again.pk == first.pk
    assert guest.preferences.get().severity == "notice"
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "preference.added",
        "preference.changed",
    ]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": "x" * 201}, "text"),
        ({"category": "weather"}, "category"),
        ({"severity": "panic"}, "severity"),
    ],
)
def test_what_cannot_be_noted_names_its_field(facts, field):
    with pytest.raises(PreferenceError) as caught:
        note(make_guest(), **facts)

    assert caught.value.field == field
    assert caught.value.message


def test_a_removed_preference_can_be_noted_again_from_the_audit_entry():
    guest = make_guest()
    preference = note(guest, "花生", "allergy")

    remove_preference(actor=None, now=NOW, guest_id=guest.pk, preference_id=preference.pk, place=None, reason="undo")
    before = AuditEntry.objects.get(action="preference.removed").before
    again = add_preference(actor=None, now=NOW, guest_id=guest.pk, place=None, **before)

    assert (again.category, again.text, again.severity) == ("allergy", "花生", "alert")


def test_notes_of_another_guest_cannot_be_removed():
    preference = note(make_guest())

    with pytest.raises(NoteNotFound):
        remove_preference(actor=None, now=NOW, guest_id=make_guest().pk, preference_id=preference.pk, place=None)


def test_tags_go_on_and_off_once():
    guest = make_guest()
    tag = Tag.objects.create(code="vip", name="贵宾", name_en="VIP")

    for _time in range(2):
        add_tag(actor=None, now=NOW, guest_id=guest.pk, tag_id=tag.pk, place=None)
    for _time in range(2):
        remove_tag(actor=None, now=NOW, guest_id=guest.pk, tag_id=tag.pk, place=None)

    assert not guest.guest_tags.exists()
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["tag.added", "tag.removed"]


def test_unknown_guests_and_tags_are_refused():
    guest = make_guest()

    with pytest.raises(NoteNotFound):
        add_tag(actor=None, now=NOW, guest_id=guest.pk, tag_id=0, place=None)
    with pytest.raises(NoteNotFound):
        remove_tag(actor=None, now=NOW, guest_id=0, tag_id=0, place=None)


def test_a_form_sent_again_after_its_note_was_taken_back_notes_nothing():
    guest, receptionist, key = make_guest(), make_staff(), uuid.uuid4()
    facts = {
        "actor": receptionist,
        "now": NOW,
        "guest_id": guest.pk,
        "category": "room",
        "text": "高楼层",
        "source": "desk",
        "place": None,
        "key": key,
    }
    preference = add_preference(**facts)
    assert add_preference(**facts) == preference
    remove_preference(actor=receptionist, now=NOW, guest_id=guest.pk, preference_id=preference.pk, place=None)

    with pytest.raises(NoteNotFound):
        add_preference(**facts)

    assert not guest.preferences.exists()


def test_a_key_that_noted_something_is_refused_for_another_note():
    guest, receptionist, key = make_guest(), make_staff(), uuid.uuid4()
    facts = {"actor": receptionist, "now": NOW, "guest_id": guest.pk, "category": "room", "source": "desk"}
    add_preference(**facts, text="高楼层", place=None, key=key)

    with pytest.raises(NoteConflict):
        add_preference(**facts, text="低楼层", place=None, key=key)

    assert guest.preferences.get().text == "高楼层"


def test_a_form_sent_again_after_its_tag_was_taken_off_tags_nothing():
    guest, receptionist, key = make_guest(), make_staff(), uuid.uuid4()
    tag = Tag.objects.create(code="vip", name="贵宾")
    facts = {"actor": receptionist, "now": NOW, "guest_id": guest.pk, "tag_id": tag.pk, "place": None}
    add_tag(**facts, key=key)
    remove_tag(**facts)

    add_tag(**facts, key=key)

    assert not guest.guest_tags.exists()
