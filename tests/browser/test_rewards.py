"""Rewards at the desk in a real browser: three keys from the card, the list of what is to be handed over, the receipt."""

import datetime as dt
from decimal import Decimal

import pytest
from django.conf import settings
from playwright.sync_api import expect

from loyalty.models import Redemption, Reward, RewardPrice, RewardStock
from tests.browser.conftest import SIZES
from tests.browser.test_vouchers import blocking, card_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCREENSHOTS = settings.BASE_DIR / "var/screenshots"


@pytest.fixture
def catalogue(hotel):
    """The hotel's rewards, one of them sold out, one for points and money."""
    rewards = list(Reward.objects.order_by("points"))
    RewardStock.objects.create(reward=rewards[0], total=0)
    for points, cash in ((2600, 0), (900, 180)):
        RewardPrice.objects.create(
            reward=rewards[1],
            points=points,
            cash=Decimal(cash),
            currency="CNY" if cash else "",
            effective_from=dt.date(2020, 1, 1),
        )
    return rewards


def test_a_reward_is_redeemed_with_three_keys_handed_over_and_printed(desk, hotel, catalogue):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    card_of(desk, "陈思远")
    desk.keyboard.press("r")
    expect(desk.locator("#dialog[open] form.sheet")).to_be_visible()
    for name, size in SIZES.items():
        desk.set_viewport_size(size)
        assert blocking(desk) == [], name
    desk.set_viewport_size(next(iter(SIZES.values())))
    desk.locator("#dialog [name=note]").fill("靠窗")
    day = (hotel.now.date() + dt.timedelta(days=2)).isoformat()
    with desk.expect_response(lambda answer: f"for_date={day}" in answer.url):
        desk.locator("#dialog [name=for_date]").fill(day)
        desk.keyboard.press("Tab")
    expect(desk.locator("#dialog [name=for_date]")).to_have_value(day)
    expect(desk.locator("#dialog [name=note]")).to_have_value("靠窗")
    desk.locator("#dialog [name=reward]").first.focus()
    desk.keyboard.press("Space")
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts")).to_contain_text("2,600")

    desk.locator(".nav-rewards").click()
    desk.get_by_role("link", name="以后").click()
    expect(desk.locator("table.data tbody tr")).to_have_count(1)
    assert blocking(desk) == []
    desk.keyboard.press("f")
    expect(desk.locator("#toasts")).to_contain_text("陈思远")
    assert Redemption.objects.get().status == Redemption.Status.FULFILLED

    desk.goto(desk.url.split("/redemptions")[0] + f"/redemptions/{Redemption.objects.get().public_id}/")
    assert blocking(desk) == []
    # Only now: what a screenshot adds to a page, axe would trip over.
    desk.screenshot(path=SCREENSHOTS / "receipt.png")
