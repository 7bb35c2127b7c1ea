import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hotels.models import AuditEntry
from members.models import Consent, Guest, GuestIdentity
from members.services import vault
from members.services.guests import (
    ConsentInput,
    GuestInput,
    GuestInputError,
    GuestNotFound,
    IdentityNotFound,
    IdentityTaken,
    RevealLimitReached,
    StaleRecord,
    add_identity,
    add_membership_numbers,
    create_guest,
    create_guests,
    record_consent,
    remove_identity,
    reveal_identity,
    update_guest,
)
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db

ID_CARD = "11010519491231002X"


def enrol(name="陈思远", **facts):
    return create_guest(actor=None, now=NOW, name=name, source="desk", **facts)


def primary(guest, kind):
    return guest.identities.get(kind=kind, is_primary=True)


def create_many(*rows, **options):
    return create_guests(actor=None, now=NOW, rows=[GuestInput(**row) for row in rows], source="import", **options)


# One guest


def test_enrolment_stores_the_normal_forms():
    place = make_property()
    receptionist = make_staff(place=place)

    guest = create_guest(
        actor=receptionist,
        now=NOW,
        name=" 曾 国藩 ",
        phone="138 0013 8000",
        email="Zeng@Example.com",
        document_number=ID_CARD.lower(),
        nationality="cn",
        place=place,
        source="desk",
        consents=[ConsentInput(purpose="marketing", channel="sms", granted=True, text_version="2026-01")],
    )

    guest.refresh_from_db()
    assert (guest.name, guest.name_pinyin, guest.name_initials) == ("曾国藩", "zengguofan", "zgf")
    assert (guest.nationality, guest.version) == ("CN", 1)
    assert {(i.kind, i.issuer, i.masked, i.is_primary) for i in guest.identities.all()} == {
        ("phone", "", "138 **** 8000", True),
        ("email", "", "z***@example.com", True),
        ("document", "id_card", "110***********002X", True),
    }
    assert vault.decrypt(primary(guest, "phone").value) == b"+8613800138000"
    consent = Consent.objects.get(guest=guest)
    assert (consent.granted, consent.source, consent.recorded_at, consent.recorded_by) == (
        True,
        "desk",
        NOW,
        receptionist,
    )


def test_an_id_card_gives_birthday_and_gender_where_they_are_not_stated():
    guest = enrol(document_number=ID_CARD)
    stated = enrol(document_number="440524188001010014", gender="female", birthday=dt.date(1990, 1, 1))

    assert (guest.birthday, guest.gender) == (dt.date(1949, 12, 31), "female")
    assert (stated.birthday, stated.gender) == (dt.date(1990, 1, 1), "female")


def test_every_wrong_field_is_named():
    with pytest.raises(GuestInputError) as caught:
        enrol(
            " ",
            phone="1380013800",
            email="x",
            document_number="110105194912310021",
            gender="X",
            birthday=NOW.date() + dt.timedelta(days=1),
            nationality="CHN",
            company="x" * 121,
        )

    assert set(caught.value.errors) == {
        "name",
        "phone",
        "email",
        "document_number",
        "gender",
        "birthday",
        "nationality",
        "company",
    }
    assert all(caught.value.errors.values())
    assert not Guest.objects.exists()


@pytest.mark.parametrize(
    ("kind", "fact", "other"),
    [
        ("phone", {"phone": "13800138000"}, {"phone": "+86 138 0013 8000"}),
        ("email", {"email": "a@example.com"}, {"email": "A@EXAMPLE.COM"}),
        ("document", {"document_number": ID_CARD}, {"document_number": ID_CARD.lower()}),
    ],
)
def test_an_identity_belongs_to_one_guest(kind, fact, other):
    guest = enrol(**fact)

    with pytest.raises(IdentityTaken) as caught:
        enrol("王伟", **other)

    assert (caught.value.kind, caught.value.guest, caught.value.code) == (kind, guest, "identity_taken")
    assert caught.value.message
    assert Guest.objects.count() == 1


def test_the_property_says_how_numbers_are_read():
    tokyo = make_property(country="JP", time_zone="Asia/Tokyo", currency="JPY")

    guest = enrol("山田太郎", phone="03-3580-3311", place=tokyo)

    assert vault.decrypt(primary(guest, "phone").value) == b"+81335803311"


def test_consents_are_added_never_replaced():
    guest = enrol()
    for granted in (True, False):
        record_consent(
            actor=None,
            now=NOW,
            guest_id=guest.pk,
            consent=ConsentInput(purpose="marketing", channel="sms", granted=granted, text_version="1"),
            source="desk",
        )

    assert list(guest.consents.order_by("id").values_list("granted", flat=True)) == [True, False]


# Changes


def test_a_change_raises_the_version_and_leaves_an_audit_entry():
    guest = enrol(phone="13800138000")
    manager = make_staff()

    changed = update_guest(
        actor=manager,
        now=NOW,
        guest_id=guest.pk,
        expected_version=1,
        changes={"name": "陈思源", "phone": "13900139000", "company": "云栖"},
    )

    changed.refresh_from_db()
    assert (changed.name, changed.name_pinyin, changed.version) == ("陈思源", "chensiyuan", 2)
    assert [i.masked for i in changed.identities.all()] == ["139 **** 9000"]
    entry = AuditEntry.objects.get(action="guest.changed")
    assert entry.actor == manager
    assert entry.before == {"name": "陈思远", "company": "", "phone": "138 **** 8000"}
    assert entry.after == {"name": "陈思源", "company": "云栖", "phone": "139 **** 9000"}


def test_saying_the_same_changes_nothing():
    guest = enrol(phone="13800138000")

    update_guest(
        actor=None,
        now=NOW,
        guest_id=guest.pk,
        expected_version=1,
        changes={"name": "陈思远", "phone": "138 0013 8000", "email": ""},
    )

    guest.refresh_from_db()
    assert guest.version == 1
    assert not AuditEntry.objects.filter(action="guest.changed").exists()


def test_an_outdated_form_shows_both_values_and_who_was_faster():
    guest = enrol(phone="13800138000")
    faster = make_staff()
    update_guest(actor=faster, now=NOW, guest_id=guest.pk, expected_version=1, changes={"company": "甲"})

    with pytest.raises(StaleRecord) as caught:
        update_guest(
            actor=None,
            now=NOW,
            guest_id=guest.pk,
            expected_version=1,
            changes={"company": "乙", "name": "陈思远", "phone": "13900139000"},
        )

    assert caught.value.conflicts == {"company": ("甲", "乙"), "phone": ("138 **** 8000", "139 **** 9000")}
    assert (caught.value.changed_by, caught.value.changed_at) == (faster, NOW)
    assert caught.value.current.version == 2


def test_a_change_cannot_take_the_phone_of_another_guest():
    owner = enrol(phone="13800138000")
    guest = enrol("王伟", phone="13900139000")

    with pytest.raises(IdentityTaken) as caught:
        update_guest(
            actor=None, now=NOW, guest_id=guest.pk, expected_version=1, changes={"phone": "13800138000", "name": "王"}
        )

    guest.refresh_from_db()
    assert caught.value.guest == owner
    assert (guest.name, guest.version) == ("王伟", 1)


def test_a_second_phone_becomes_the_primary_one():
    guest = enrol(phone="13800138000")
    add_identity(actor=None, now=NOW, guest_id=guest.pk, kind="phone", value="13900139000")

    update_guest(actor=None, now=NOW, guest_id=guest.pk, expected_version=2, changes={"phone": "13900139000"})

    assert [(i.masked, i.is_primary) for i in guest.identities.all()] == [("139 **** 9000", True)]


def test_unknown_guests_and_fields_are_refused():
    guest = enrol()

    with pytest.raises(GuestNotFound):
        update_guest(actor=None, now=NOW, guest_id=guest.pk + 1, expected_version=1, changes={"name": "x"})
    with pytest.raises(ValueError, match="version"):
        update_guest(actor=None, now=NOW, guest_id=guest.pk, expected_version=1, changes={"version": 9})


# Identities


def test_a_new_primary_phone_makes_the_old_one_step_back():
    guest = enrol(phone="13800138000")

    row = add_identity(
        actor=None, now=NOW, guest_id=guest.pk, kind="phone", value="13900139000", is_primary=True, verified_at=NOW
    )

    assert primary(guest, "phone") == row
    assert row.verified_at == NOW
    assert guest.identities.count() == 2


def test_adding_what_the_guest_has_only_marks_it():
    guest = enrol(phone="13800138000")

    row = add_identity(
        actor=None, now=NOW, guest_id=guest.pk, kind="phone", value="+8613800138000", verified_at=NOW, is_primary=True
    )

    assert guest.identities.count() == 1
    assert (row.verified_at, row.is_primary) == (NOW, True)


def test_adding_refuses_bad_values_and_those_of_others():
    enrol(phone="13800138000")
    guest = enrol("王伟")

    with pytest.raises(GuestInputError) as caught:
        add_identity(actor=None, now=NOW, guest_id=guest.pk, kind="phone", value="138")
    with pytest.raises(IdentityTaken):
        add_identity(actor=None, now=NOW, guest_id=guest.pk, kind="phone", value="13800138000")

    assert set(caught.value.errors) == {"value"}


def test_a_removed_phone_is_free_for_its_new_owner():
    guest = enrol(phone="13800138000")
    identity = primary(guest, "phone")

    remove_identity(actor=None, now=NOW, guest_id=guest.pk, identity_id=identity.pk)

    assert enrol("王伟", phone="13800138000").identities.count() == 1
    with pytest.raises(IdentityNotFound):
        remove_identity(actor=None, now=NOW, guest_id=guest.pk, identity_id=identity.pk)


def test_membership_numbers_of_many_members_take_one_statement(django_assert_num_queries):
    guests = [make_guest() for _number in range(3)]
    numbers = [(guest.pk, f"GK{guest.pk:08d}") for guest in guests]

    with django_assert_num_queries(1):
        add_membership_numbers(issuer="P1", numbers=numbers, now=NOW)
    add_membership_numbers(issuer="P1", numbers=numbers, now=NOW)

    rows = GuestIdentity.objects.filter(kind="membership").order_by("guest_id")
    assert [(row.guest_id, bytes(row.value).decode(), row.masked) for row in rows] == [
        (pk, number, number) for pk, number in numbers
    ]


def test_a_reveal_is_audited_without_the_value():
    place = make_property()
    receptionist = make_staff(place=place)
    guest = enrol(phone="13800138000")
    identity = primary(guest, "phone")

    value = reveal_identity(actor=receptionist, now=NOW, identity_id=identity.pk, place=place, page="/guests/1/")

    entry = AuditEntry.objects.get(action="identity.revealed")
    assert value == "+8613800138000"
    assert (entry.actor, entry.property, entry.object_id) == (receptionist, place, str(guest.pk))
    assert entry.after == {"identity": identity.pk, "kind": "phone", "page": "/guests/1/"}


def test_reveals_are_limited_by_the_propertys_day(settings):
    settings.GUIKE_REVEAL_DAILY_LIMIT = 2
    place = make_property()
    receptionist, colleague = make_staff(place=place), make_staff(place=place)
    identity = primary(enrol(phone="13800138000"), "phone")

    def reveal(user, now):
        return reveal_identity(actor=user, now=now, identity_id=identity.pk, place=place, page="/")

    reveal(receptionist, NOW)
    reveal(receptionist, NOW)
    with pytest.raises(RevealLimitReached) as caught:
        reveal(receptionist, NOW)

    assert caught.value.limit == 2
    assert AuditEntry.objects.filter(action="identity.reveal_refused", actor=receptionist).count() == 1
    assert reveal(colleague, NOW)
    assert reveal(receptionist, NOW + dt.timedelta(days=1))


def test_there_is_nothing_to_reveal_of_an_unknown_identity():
    place = make_property()

    with pytest.raises(IdentityNotFound):
        reveal_identity(actor=make_staff(place=place), now=NOW, identity_id=1, place=place, page="/")


# Many guests


def test_many_guests_one_result_for_each_row():
    known = enrol("旧客", phone="13800138000")

    results = create_many(
        {"name": "王伟", "phone": "13900139001", "email": "w@example.com"},
        {"name": "", "phone": "138"},
        {"name": "旧客", "phone": "+86 13800138000"},
        {"name": "王伟", "phone": "139 0013 9001"},
        {"name": "无号"},
        {"name": "无号"},
    )

    assert [result.status for result in results] == ["created", "invalid", "taken", "taken", "created", "created"]
    assert set(results[1].problems) == {"name", "phone"}
    assert results[1].guest_id is None
    assert results[2].guest_id == known.pk
    assert results[3].guest_id == results[0].guest_id
    guest = Guest.objects.get(pk=results[0].guest_id)
    assert (guest.name_pinyin, guest.name_initials, guest.version, guest.created_at) == ("wangwei", "ww", 1, NOW)
    assert {i.masked for i in guest.identities.filter(is_primary=True)} == {"139 **** 9001", "w***@example.com"}
    assert AuditEntry.objects.filter(action="guest.enrolled", after__source="import").count() == 3


def test_a_known_guest_is_brought_up_to_date():
    guest = enrol(phone="13800138000", company="甲")

    (result,) = create_many(
        {"name": "陈思源", "phone": "13800138000", "email": "c@example.com", "membership_number": "GK1"},
        update_existing=True,
    )

    guest.refresh_from_db()
    assert (result.status, result.guest_id) == ("updated", guest.pk)
    assert set(result.changed) == {"name", "email", "membership_number"}
    assert (guest.name, guest.name_pinyin, guest.company, guest.version) == ("陈思源", "chensiyuan", "甲", 2)
    assert primary(guest, "email").masked == "c***@example.com"
    entry = AuditEntry.objects.get(action="guest.changed")
    assert entry.before == {"name": "陈思远"}
    assert entry.after == {
        "source": "import",
        "name": "陈思源",
        "email": "c***@example.com",
        "membership": "GK1",
    }


def test_the_same_file_again_changes_nothing():
    rows = [
        {"name": "王伟", "phone": "13900139001", "membership_number": "A1"},
        {"name": "李娜", "email": "l@example.com"},
    ]
    create_many(*rows, update_existing=True)

    results = create_many(*rows, update_existing=True)

    assert [result.status for result in results] == ["unchanged", "unchanged"]
    assert not AuditEntry.objects.filter(action="guest.changed").exists()
    assert set(Guest.objects.values_list("version", flat=True)) == {1}


def test_a_membership_number_of_any_programme_finds_its_guest():
    guest = make_guest()
    add_membership_numbers(issuer="P1", numbers=[(guest.pk, "GK00000001")], now=NOW)

    (result,) = create_many({"name": "陈思远", "membership_number": "gk00000001"})

    assert (result.status, result.guest_id) == ("taken", guest.pk)


@pytest.mark.parametrize("update_existing", [True, False])
def test_identities_of_two_guests_in_one_row_are_a_conflict(update_existing):
    enrol(phone="13800138000")
    enrol("王伟", email="w@example.com")

    (result,) = create_many(
        {"name": "谁", "phone": "13800138000", "email": "w@example.com"}, update_existing=update_existing
    )

    assert (result.status, result.guest_id) == ("conflict", None)
    assert {name: problem.code for name, problem in result.problems.items()} == {"email": "identity_conflict"}
    assert "138 **** 8000" in str(result.problems["email"])


def test_rows_about_one_new_guest_are_put_together():
    results = create_many(
        {"name": "王伟", "phone": "13900139001"},
        {"name": "王伟", "phone": "13900139001", "email": "w@example.com", "company": "乙"},
        update_existing=True,
    )

    guest = Guest.objects.get()
    assert [result.status for result in results] == ["created", "updated"]
    assert guest.company == "乙"
    assert guest.identities.count() == 2
    assert guest.version == 1


def test_a_dry_run_says_the_same_and_writes_nothing():
    enrol(phone="13800138000")
    rows = [
        {"name": "王伟", "phone": "13900139001"},
        {"name": "陈", "phone": "13800138000"},
        {"name": ""},
        {"name": "王伟", "phone": "13900139001"},
    ]

    dry = create_many(*rows, update_existing=True, dry_run=True)
    entries = AuditEntry.objects.count()
    wet = create_many(*rows, update_existing=True)

    assert entries == 1
    assert [result.status for result in dry] == [result.status for result in wet]
    assert [result.status for result in wet] == ["created", "updated", "invalid", "unchanged"]
    assert dry[0].guest_id is None


def test_the_number_of_statements_does_not_grow_with_the_rows():
    def statements(count, start):
        rows = [{"name": "王伟", "phone": f"139{start + i:08d}"} for i in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            create_many(*rows, update_existing=True)
            create_many(*rows, update_existing=True)
        return len(captured)

    assert statements(2, 20_000_000) == statements(300, 30_000_000)


# Personal data


def test_no_table_holds_a_phone_document_or_email_in_clear():
    place = make_property()
    receptionist = make_staff(place=place)
    guest = create_guest(
        actor=receptionist,
        now=NOW,
        name="陈思远",
        phone="13800138000",
        email="secret.name@example.com",
        document_number=ID_CARD,
        place=place,
        source="desk",
    )
    add_identity(actor=receptionist, now=NOW, guest_id=guest.pk, kind="phone", value="13900139000", place=place)
    update_guest(
        actor=receptionist,
        now=NOW,
        guest_id=guest.pk,
        expected_version=2,
        changes={"phone": "13700137000"},
        place=place,
    )
    create_many({"name": "王伟", "phone": "13600136000"}, {"name": "王伟", "phone": "13600136000", "email": "w2@b.com"})
    reveal_identity(actor=receptionist, now=NOW, identity_id=guest.identities.first().pk, place=place, page="/guests/")

    secrets = ["13800138000", "13900139000", "13700137000", "13600136000", "secret.name", ID_CARD, "w2@b"]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                dumped = "|".join(
                    bytes(cell).decode("latin-1") if isinstance(cell, bytes | memoryview) else str(cell) for cell in row
                )
                assert not [secret for secret in secrets if secret in dumped], table
