import base64

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import CommandError, call_command

from members.models import GuestIdentity
from members.services import vault
from members.services.guests import add_membership_numbers, create_guest
from members.services.key_rotation import rotate_keys
from tests.factories import NOW, make_staff

pytestmark = pytest.mark.django_db

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def guests(settings):
    settings.GUIKE_PII_KEYS = [OLD]
    guests = [
        create_guest(
            actor=None, now=NOW, name="陈", phone=f"1380013800{number}", email=f"c{number}@example.com", source="desk"
        )
        for number in range(5)
    ]
    add_membership_numbers(issuer="P1", numbers=[(guests[0].pk, "GK1")], now=NOW)
    return guests


def values():
    return {row.pk: bytes(row.value) for row in GuestIdentity.objects.all()}


def test_after_rotation_the_old_key_may_go(settings, guests):
    settings.GUIKE_PII_KEYS = [NEW, OLD]
    before = values()

    counts = rotate_keys(batch_size=3)

    settings.GUIKE_PII_KEYS = [NEW]
    assert counts["guests' identities"] == 10
    assert {vault.decrypt(row.value) for row in GuestIdentity.objects.filter(kind="phone")} == {
        f"+861380013800{number}".encode() for number in range(5)
    }
    assert bytes(GuestIdentity.objects.get(kind="membership").value) == b"GK1"
    assert len(set(values().values()) - set(before.values())) == 10


def test_second_factors_move_to_the_new_key_as_well(settings):
    settings.GUIKE_PII_KEYS = [OLD]
    user = make_staff()
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(user)
    settings.GUIKE_PII_KEYS = [NEW, OLD]

    assert rotate_keys()["second factors"] == 2

    settings.GUIKE_PII_KEYS = [NEW]
    totp, codes = Authenticator.objects.filter(user=user).order_by("pk")
    assert get_adapter().decrypt(totp.data["secret"]) == "JBSWY3DPEHPK3PXP"
    assert RecoveryCodes(codes).get_unused_codes()


def test_a_second_run_finds_nothing_to_do(settings, guests):
    settings.GUIKE_PII_KEYS = [NEW, OLD]
    rotate_keys()
    before = values()

    assert not any(rotate_keys().values())
    assert values() == before


def test_the_command_refuses_to_lose_what_no_key_opens(settings, guests):
    settings.GUIKE_PII_KEYS = [NEW]

    with pytest.raises(CommandError, match="GUIKE_PII_KEYS"):
        call_command("rotate_pii_keys")


def test_the_command_says_what_it_renewed(settings, guests, capsys):
    settings.GUIKE_PII_KEYS = [NEW, OLD]

    call_command("rotate_pii_keys")

    assert "guests' identities: 10" in capsys.readouterr().out
