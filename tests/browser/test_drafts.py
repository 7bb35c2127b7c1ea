"""What is typed survives a crash and a lost session, and never lies in the browser's own storage."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from feedback.models import Ticket, TicketEvent
from hotels.models import Draft
from tests.browser.test_desk import SCREENSHOTS, card_of, in_dialog

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_complaint_survives_a_crash_is_restored_and_discarded(desk, hotel, browser, sign_in, live_server):
    card_of(desk)
    in_dialog(desk, "t")
    desk.keyboard.type("隔壁装修")
    expect(desk.locator("[data-draft-status]")).to_contain_text("草稿已于", timeout=9000)
    # htmx notes the path of the page there, and nothing else may be.
    stored = desk.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "隔壁装修" not in stored
    assert "13817756621" not in stored
    assert "陈思远" not in stored

    # The crash: another browser that knows nothing of this one.
    context = browser.new_context(locale="zh-CN")
    sign_in(context)
    page = context.new_page()
    page.goto(f"{live_server.url}/guests/{hotel.chen.guest.public_id}/")
    in_dialog(page, "t")
    expect(page.locator("#id_subject")).to_have_value("隔壁装修")
    expect(page.locator(".draft-note")).to_contain_text("已恢复")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "draft_dialog.png")
    page.get_by_role("button", name="放弃草稿").click()
    expect(page.locator("#id_subject")).to_have_value("")
    context.close()

    assert not Draft.objects.exists()


def test_closing_the_dialog_keeps_what_was_typed_a_moment_ago(desk):
    card_of(desk)
    in_dialog(desk, "t")
    desk.keyboard.type("没有热水")
    with desk.expect_response("**/drafts/"):
        desk.keyboard.press("Escape")

    in_dialog(desk, "t")
    expect(desk.locator("#id_subject")).to_have_value("没有热水")
    desk.locator("input[name=category]").first.check(force=True)
    desk.locator("#dialog button[type=submit].btn-primary").click()
    expect(desk.locator("#toasts")).to_contain_text("没有热水")
    in_dialog(desk, "t")

    expect(desk.locator("#id_subject")).to_have_value("")


def test_leaving_a_page_with_something_not_yet_kept_asks(desk, live_server):
    ticket = Ticket.objects.get(subject="空调夜间噪音大")
    desk.goto(f"{live_server.url}/tickets/{ticket.public_id}/")
    asked = []
    desk.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    desk.locator("#id_text").press_sequentially("已致电")
    desk.goto(f"{live_server.url}/tickets/")
    assert asked == ["beforeunload"]

    desk.goto(f"{live_server.url}/tickets/{ticket.public_id}/")
    expect(desk.locator("#id_text")).to_have_value("已致电")
    desk.screenshot(path=SCREENSHOTS / "draft_ticket.png", full_page=True)
    desk.goto(f"{live_server.url}/tickets/")

    assert asked == ["beforeunload"]


def test_a_lost_session_says_so_and_loses_nothing_that_was_kept(desk, live_server, sign_in):
    ticket = Ticket.objects.get(subject="空调夜间噪音大")
    address = f"{live_server.url}/tickets/{ticket.public_id}/"
    desk.goto(address)
    desk.locator("#id_text").press_sequentially("客人要求换房")
    note = desk.locator("form[data-draft-form='feedback.note']")
    expect(note.locator("[data-draft-status]")).to_contain_text("草稿已于", timeout=9000)
    Session.objects.all().delete()
    desk.locator("#id_text").press_sequentially("，已安排")
    expect(note.locator("[data-draft-status]")).to_contain_text("未能保存", timeout=9000)

    # Signed in again in another tab, the page goes on where it was.
    sign_in(desk.context)
    expect(note.locator("[data-draft-status]")).to_contain_text("草稿已于", timeout=9000)
    desk.console_errors.clear()  # The browser logs the refused saves.

    assert Draft.objects.get().content == {"text": "客人要求换房，已安排"}
    assert not TicketEvent.objects.filter(kind="note").exists()
