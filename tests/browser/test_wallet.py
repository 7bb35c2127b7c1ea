"""Stored value by key: open, type, Enter – and back."""

import datetime as dt

import pytest

from loyalty.models import StoredValueMovement, StoredValuePolicy, TopUpStep

pytestmark = pytest.mark.browser


@pytest.fixture
def gifts(hotel):
    """1,000 get 100."""
    policy = StoredValuePolicy.objects.create(programme=hotel.programme, effective_from=dt.date(2020, 1, 1))
    TopUpStep.objects.create(policy=policy, amount=100_000, gift=10_000)


def test_topping_up_takes_one_key_an_amount_and_enter(gifts, hotel, desk, live_server):
    desk.goto(f"{live_server.url}/guests/{hotel.chen.guest.public_id}/")

    desk.keyboard.press("u")
    desk.locator("#dialog [name=amount]").wait_for()
    desk.keyboard.type("1000")
    desk.keyboard.press("Enter")
    desk.locator(".toast-undo").wait_for()
    assert [(row.principal, row.gift) for row in StoredValueMovement.objects.all()] == [(100_000, 10_000)]

    desk.keyboard.press("z")
    desk.get_by_text("已撤销").wait_for()
    assert StoredValueMovement.objects.filter(undone_at=None).count() == 0
