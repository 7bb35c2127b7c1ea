"""The demo group: made by the services, whole, only where it may be."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config.demo.logins import LOGINS, PASSWORD
from feedback.models import Ticket
from hotels.models import HotelGroup, User
from loyalty.models import Membership, Posting
from members.models import Guest, Preference, Reservation, Stay
from tests.factories import make_property

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded():
    call_command("seed_demo", "--guests", "80", stdout=StringIO())


@pytest.mark.slow
def test_group_is_alive_and_its_ledger_adds_up(seeded, client):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    assert Guest.objects.count() == 80
    assert Stay.objects.filter(status=Stay.Status.IN_HOUSE).exists()
    assert Reservation.objects.filter(status=Reservation.Status.RESERVED).exists()
    assert set(Posting.objects.values_list("kind", flat=True)) >= {"earn", "release", "redeem"}
    assert Membership.objects.filter(tier__code="diamond").exists()
    assert Ticket.objects.filter(closed_at=None).exists()
    peanut = Preference.objects.get(guest__name="陈思远", category="allergy")
    assert peanut.severity == "alert"
    call_command("verify_ledger", stdout=StringIO())


@pytest.mark.slow
def test_one_account_for_each_role_may_sign_in(seeded, client):
    assert {login.role for login in LOGINS} == set(
        User.objects.exclude(assignments=None).values_list("assignments__role", flat=True)
    )
    assert all(client.login(username=login.username, password=PASSWORD) for login in LOGINS)


def test_database_with_data_is_refused():
    make_property()

    with pytest.raises(CommandError, match="has data already"):
        call_command("seed_demo")


def test_existing_group_is_left_alone_on_the_next_start():
    make_property()

    call_command("seed_demo", "--if-empty", stdout=StringIO())

    assert (HotelGroup.objects.count(), Guest.objects.count()) == (1, 0)


def test_production_never_gets_public_passwords(settings):
    settings.SETTINGS_MODULE = "config.settings.production"

    with pytest.raises(CommandError, match="passwords are public"):
        call_command("seed_demo")

    assert not User.objects.exists()
