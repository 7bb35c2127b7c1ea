"""Two colleagues with the same ticket open, each in a browser of their own."""

import pytest
from playwright.sync_api import expect

from feedback.models import Ticket
from tests.browser.test_desk import SCREENSHOTS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def colleague(browser, sign_in, hotel):
    context = browser.new_context(locale="zh-CN")
    sign_in(context, hotel.manager)
    yield context.new_page()
    context.close()


def test_colleagues_see_each_other_and_neither_overwrites_the_other(desk, colleague, live_server):
    ticket = Ticket.objects.get()
    address = f"{live_server.url}/tickets/{ticket.public_id}/"
    for page in (desk, colleague):
        with page.expect_response("**/presence/"):
            page.goto(address)
    expect(colleague.locator(".others")).to_contain_text("林芳 正在处理")
    desk.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(desk.locator(".others")).to_contain_text("赵伟 正在处理")

    colleague.locator("[name=root_cause]").select_option("staff")
    colleague.locator("[name=resolution]").fill("已换房")
    colleague.get_by_role("button", name="关闭工单").click()
    expect(colleague.locator("#toasts")).to_contain_text("已关闭")
    desk.locator("[name=root_cause]").select_option("staff")
    desk.locator("[name=resolution]").fill("已道歉")
    desk.get_by_role("button", name="关闭工单").click()

    expect(desk.locator(".problems")).to_contain_text("赵伟")
    expect(desk.locator(".problems")).to_contain_text("已换房")
    expect(desk.locator(".problems")).to_contain_text("已道歉")
    expect(desk.locator("#id_text")).to_have_value("已道歉")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    desk.screenshot(path=SCREENSHOTS / "ticket_stale.png", full_page=True)
    desk.console_errors.clear()  # The browser itself logs the 409.
