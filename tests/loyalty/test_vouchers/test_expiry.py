"""Expiry."""

import datetime as dt

import pytest
from django.core.management import CommandError, call_command

from loyalty.models import Voucher
from loyalty.selectors.vouchers import check_voucher
from loyalty.services.vouchers import (
    expire_vouchers,
    remind_vouchers,
    transfer_voucher,
    undo_redemption,
)
from tests.factories import (
    NOW,
    make_membership,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import DAY, issue, kinds, redeem

pytestmark = pytest.mark.django_db


def test_vouchers_expire_after_their_last_day_in_the_programmes_zone(voucher_type, place, clerk):
    voucher, used = issue(voucher_type), issue(voucher_type)
    redeem(used, place, clerk)
    last_moment = NOW.replace(hour=23, minute=59) + 30 * DAY

    assert expire_vouchers(now=last_moment).done == 0
    assert check_voucher(voucher=voucher, now=last_moment, place=place).refusal is None
    # Late or not, the job changes nothing about what may be used.
    after = last_moment + dt.timedelta(minutes=1)
    assert check_voucher(voucher=voucher, now=after, place=place).refusal.code == "expired"
    assert expire_vouchers(now=after, batch_size=1).done == 1
    assert expire_vouchers(now=after).done == 0
    assert sorted(Voucher.objects.values_list("state", flat=True)) == ["expired", "redeemed"]
    assert kinds(voucher) == ["issued", "expired"]


def test_a_use_undone_after_the_last_day_expires(voucher_type, place, clerk):
    used = redeem(issue(voucher_type), place, clerk, now=NOW + 30 * DAY)
    later = NOW + 31 * DAY
    undo_redemption(
        actor=clerk, now=later, redemption_id=used.redemption_id, place=place, may_undo_late=True, reason="退款"
    )

    assert expire_vouchers(now=later).done == 1


def test_owners_are_reminded_once_in_time(programme, member):
    voucher_type = make_voucher_type(programme, reminder_days=7, is_transferable=True)
    voucher = issue(voucher_type, member)
    issue(voucher_type)
    issue(make_voucher_type(programme), member)

    assert remind_vouchers(now=NOW + 22 * DAY).done == 0
    assert remind_vouchers(now=NOW + 23 * DAY).done == 1
    assert remind_vouchers(now=NOW + 24 * DAY).done == 0
    assert kinds(voucher) == ["issued", "reminded"]
    transfer_voucher(
        actor=None, now=NOW + 24 * DAY, voucher_id=voucher.pk, to_membership_id=make_membership(programme).pk
    )
    assert remind_vouchers(now=NOW + 30 * DAY).done == 1


def test_the_command_expires_and_reminds(voucher_type, capsys):
    issue(voucher_type)

    call_command("expire_vouchers")

    assert "reminders due" in capsys.readouterr().out
    with pytest.raises(CommandError, match="ahead"):
        call_command("expire_vouchers", "--date", "2999-01-01")
