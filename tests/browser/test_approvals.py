"""A movement above the limit asked for at the desk, then approved in the queue by key."""

import datetime as dt

import pytest

from loyalty.models import Account, ApprovalLimit, ApprovalRequest
from tests.browser.conftest import SIZES

pytestmark = pytest.mark.browser


def test_a_redemption_waits_and_is_approved_by_key(hotel, page, live_server, sign_in):
    ApprovalLimit.objects.create(
        programme=hotel.programme,
        kind="redeem",
        role="receptionist",
        per_movement=500,
        approver_role="property_manager",
        effective_from=dt.date(2020, 1, 1),
    )
    before = Account.objects.get(membership=hotel.chen).available
    page.set_default_timeout(20000)
    sign_in(page.context, hotel.user)
    page.goto(f"{live_server.url}/guests/{hotel.chen.guest.public_id}/")
    page.keyboard.press("r")
    page.locator("#dialog input[name=reward]").first.check()
    page.keyboard.press("Enter")
    page.locator("#guest #approvals-title").wait_for()
    assert "尚未发生任何变动" in page.locator("#toasts").inner_text()
    request = ApprovalRequest.objects.get()
    assert Account.objects.get(membership=hotel.chen).held == request.value

    sign_in(page.context, hotel.manager)
    page.set_viewport_size(SIZES["tablet"])
    page.goto(f"{live_server.url}/approvals/")
    assert page.locator(".nav-approvals .rail-count").inner_text().startswith("1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".table-wrap").evaluate("el => el.scrollWidth <= el.clientWidth")
    page.keyboard.press("a")
    page.locator("#dialog .grounds").wait_for()
    page.keyboard.press("Enter")
    page.locator(".toast-success").wait_for()

    request.refresh_from_db()
    assert (request.state, request.decided_by) == ("approved", hotel.manager)
    assert Account.objects.get(membership=hotel.chen).available == before - request.value
