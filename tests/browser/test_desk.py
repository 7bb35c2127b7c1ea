"""The receptionist's work in a real browser: keyboard, input method, undo, failures, tablet, print, access."""

import re
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from feedback.models import Ticket
from hotels.models import User
from loyalty.models import Account, Membership, Posting, Redemption
from loyalty.services.redemptions import adjust_points
from members.models import Preference
from members.services.guests import update_guest
from tests.browser.conftest import SIZES
from tests.factories import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"
SCREENSHOTS = settings.BASE_DIR / "var/screenshots"
ENROLLMENT_SECONDS = 20
UNMASKED = re.compile(r"(?<![\w-])1[3-9]\d{9}(?![\w-])")


def card_of(page, name="陈思远", typed=""):
    """Find a guest by keyboard alone and open the card."""
    page.keyboard.press("/")
    page.keyboard.type(typed or name)
    page.keyboard.press("Enter")
    expect(page.locator("#guest h1")).to_contain_text(name)
    expect(page.locator("#guest h1")).to_be_focused()


def available(membership):
    return Account.objects.get(membership=membership).available


def in_dialog(page, key):
    page.keyboard.press(key)
    expect(page.locator("#dialog[open] form.sheet")).to_be_visible()


def test_the_whole_check_in_without_a_mouse(desk, hotel):
    card_of(desk, typed="csy")
    expect(desk.locator("#guest [role=alert]").first).to_contain_text("花生")

    in_dialog(desk, "r")
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts")).to_contain_text("2,000")
    expect(desk.locator("[data-points-available]")).to_have_text("49,725")

    in_dialog(desk, "t")
    desk.keyboard.type("房间太冷")
    desk.keyboard.press("Tab")
    desk.keyboard.press("Space")
    desk.keyboard.press("Enter")
    expect(desk.locator("#guest .tickets")).to_contain_text("房间太冷")

    in_dialog(desk, "f")
    desk.keyboard.type("加一床被子")
    desk.keyboard.press("Enter")
    expect(desk.locator("#guest .wishes")).to_contain_text("加一床被子")

    in_dialog(desk, "s")
    desk.keyboard.type("1000")
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts")).to_contain_text("1,500")
    assert Redemption.objects.count() == 1
    assert Ticket.objects.filter(subject="房间太冷", assignee=hotel.user).count() == 1


def test_a_walk_in_is_a_member_in_under_twenty_seconds(desk):
    started = time.monotonic()
    in_dialog(desk, "n")
    desk.keyboard.type("周晓明", delay=120)
    desk.keyboard.press("Tab")
    desk.keyboard.type("13918812276", delay=120)
    desk.keyboard.press("Tab")
    desk.keyboard.press("Space")
    desk.keyboard.press("Enter")
    expect(desk.locator("#guest h1")).to_contain_text("周晓明")

    assert time.monotonic() - started < ENROLLMENT_SECONDS
    assert Membership.objects.filter(guest__name="周晓明").count() == 1


def test_wrong_input_stays_in_the_form_and_is_explained(desk):
    in_dialog(desk, "n")
    desk.keyboard.type("周晓明")
    desk.keyboard.press("Tab")
    desk.keyboard.type("139188122")
    desk.keyboard.press("Enter")

    expect(desk.locator("#id_phone")).to_have_attribute("aria-invalid", "true")
    expect(desk.locator("#id_phone")).to_have_value("139188122")
    expect(desk.locator("#id_name")).to_have_value("周晓明")
    expect(desk.locator("#id_phone")).to_be_focused()
    desk.console_errors.clear()  # The browser itself logs the 422.


def test_nothing_is_searched_while_an_input_method_composes(desk):
    searches = []
    desk.on("request", lambda request: searches.append(request.url) if "/desk/search/" in request.url else None)
    desk.keyboard.press("/")
    method = desk.context.new_cdp_session(desk)
    for text in ("s", "si", "siy", "siyu", "siyuan"):
        method.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
        desk.wait_for_timeout(200)
    assert searches == []

    method.send("Input.insertText", {"text": "思远"})
    expect(desk.locator("a.hit")).to_have_count(1)

    assert len(searches) == 1


def test_the_newest_search_wins(desk):
    def slow_first(route):
        if (route.request.post_data or "").endswith("q=w"):
            time.sleep(0.8)
        route.continue_()

    desk.route("**/desk/search/**", slow_first)
    desk.keyboard.press("/")
    desk.keyboard.type("w")
    desk.wait_for_timeout(220)
    desk.keyboard.type("yt")

    expect(desk.locator("a.hit .clip")).to_have_text(["王雨桐"])
    desk.wait_for_timeout(900)
    expect(desk.locator("a.hit .clip")).to_have_text(["王雨桐"])
    # htmx logs the request that it gave up for the newer one, if it was still under way.
    desk.console_errors[:] = [text for text in desk.console_errors if not text.startswith("htmx:")]


@pytest.mark.parametrize("start", ["/", "/tickets/"])
def test_a_number_nobody_has_stays_out_of_every_address(desk, live_server, start):
    desk.goto(f"{live_server.url}{start}")
    addresses = []
    desk.on("request", lambda request: addresses.append(request.url + request.headers.get("referer", "")))
    desk.keyboard.press("/")
    desk.keyboard.type("13912345678")
    desk.keyboard.press("Enter")
    expect(desk.locator("#queue")).to_contain_text("13912345678")
    desk.keyboard.press("Enter")
    desk.wait_for_timeout(400)
    desk.locator("#queue .btn-primary").click()
    expect(desk.locator("#dialog #id_phone")).to_have_value("13912345678")

    assert desk.url == f"{live_server.url}{start}"
    assert addresses
    assert [address for address in addresses if "139" in address.replace(live_server.url, "")] == []


def test_without_javascript_a_number_nobody_has_stays_out_of_the_address(browser, live_server, hotel, sign_in):
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    sign_in(context)
    page = context.new_page()
    page.goto(f"{live_server.url}/")
    page.locator("#q").fill("13912345678")
    page.keyboard.press("Enter")
    expect(page.locator("#queue")).to_contain_text("13912345678")
    assert page.url == f"{live_server.url}/desk/search/"
    page.locator("#queue .btn-primary").click()

    expect(page.locator("#id_phone")).to_have_value("13912345678")
    assert page.url == f"{live_server.url}/enroll/"
    context.close()


def test_a_card_that_was_not_found_is_switched_off(desk):
    card_of(desk)

    desk.keyboard.press("/")
    desk.keyboard.type("13999999999")
    expect(desk.locator("#queue .blank")).to_be_visible()

    expect(desk.locator("#guest .guest")).to_have_class(re.compile("stale"))
    desk.locator("#main").focus()
    desk.keyboard.press("r")
    desk.wait_for_timeout(400)
    expect(desk.locator("#dialog[open]")).to_have_count(0)
    desk.keyboard.press("/")
    desk.keyboard.press("Escape")
    expect(desk.locator("#guest .guest")).not_to_have_class(re.compile("stale"))


def test_an_unknown_number_is_enrolled_from_the_empty_list(desk):
    desk.keyboard.press("/")
    desk.keyboard.type("13912345678")
    desk.locator("#queue .blank .btn").click()

    expect(desk.locator("#id_phone")).to_have_value("13912345678")
    desk.fill("#id_name", "周晓明")
    desk.check("#id_consent_programme")
    desk.keyboard.press("Enter")

    expect(desk.locator("#guest h1")).to_contain_text("周晓明")
    expect(desk.locator("#guest .guest")).not_to_have_class(re.compile("stale"))
    expect(desk.locator("#q")).to_have_value("")


def test_undo_takes_a_redemption_back_and_keeps_both_entries(desk, hotel):
    card_of(desk)
    before = available(hotel.chen)
    in_dialog(desk, "r")
    desk.keyboard.press("Space")
    desk.keyboard.press("Enter")
    expect(desk.locator(".toast-undo")).to_be_visible()
    assert available(hotel.chen) == before - 800

    desk.keyboard.press("z")
    expect(desk.locator("#toasts")).to_contain_text("积分已退回")

    assert available(hotel.chen) == before
    kinds = list(Posting.objects.filter(account__membership=hotel.chen).order_by("seq").values_list("kind", flat=True))
    assert kinds[-2:] == ["redeem", "refund"]


def test_a_toast_waits_for_its_reader(desk):
    desk.clock.install()
    card_of(desk)
    desk.locator("#guest .wishes .remove").first.click()
    toast = desk.locator("[data-toast]")
    expect(toast).to_be_visible()

    desk.clock.run_for(8_500)
    expect(toast).to_be_visible()
    toast.hover()
    desk.clock.run_for(30_000)
    expect(toast).to_be_visible()
    desk.mouse.move(5, 5)
    desk.clock.run_for(11_000)

    expect(toast).to_have_count(0)


def test_a_removed_preference_is_restored(desk):
    card_of(desk)
    desk.get_by_label(re.compile("移除 高楼层")).click()
    expect(desk.locator("#toasts")).to_contain_text("已移除")
    assert not Preference.objects.filter(category="room").exists()

    desk.keyboard.press("z")
    expect(desk.locator("#guest .wishes")).to_contain_text("高楼层")


def test_enter_pressed_many_times_redeems_once(desk, hotel):
    card_of(desk)
    in_dialog(desk, "r")
    desk.keyboard.press("Space")
    for _ in range(4):
        desk.keyboard.press("Enter")
    expect(desk.locator("#dialog[open]")).to_have_count(0)

    assert Redemption.objects.count() == 1


def test_too_few_points_are_explained_in_the_dialog(desk, hotel):
    card_of(desk, "王雨桐")
    in_dialog(desk, "r")
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("Enter")

    expect(desk.locator("#dialog [role=alert]")).to_contain_text("1,860")
    expect(desk.locator("#dialog input:checked")).to_be_focused()
    assert available(hotel.wang) == 1860
    desk.console_errors.clear()


def test_a_revealed_number_hides_after_fifteen_seconds(desk):
    desk.clock.install()
    card_of(desk)
    secret = desk.locator("#secret-phone")
    expect(secret).to_have_text("138 **** 6621")

    desk.get_by_role("button", name="显示手机号").click()
    expect(secret).to_contain_text(re.compile("138 ?1775 ?6621"))
    desk.clock.run_for(17_000)

    expect(secret).to_have_text("138 **** 6621")


def test_a_lost_session_comes_back_to_the_same_guest(desk, hotel):
    card_of(desk)
    url = desk.url
    Session.objects.all().delete()

    desk.keyboard.press("r")
    desk.wait_for_url("**/accounts/login/**")
    desk.fill("[name=login]", hotel.user.username)
    desk.fill("[name=password]", PASSWORD)
    desk.keyboard.press("Enter")

    desk.wait_for_url(url)
    expect(desk.locator("#guest h1")).to_contain_text("陈思远")
    desk.console_errors.clear()  # The browser itself logs the 401.


def test_a_lost_network_is_told_and_tried_again(desk):
    card_of(desk)
    desk.route("**/redeem/", lambda route: route.abort())
    desk.keyboard.press("r")
    note = desk.locator("#toasts [role=alert]")
    expect(note).to_contain_text("无法连接服务器")

    desk.unroute("**/redeem/")
    note.get_by_role("button", name="重试").click()

    expect(desk.locator("#dialog[open] form")).to_be_visible()
    desk.console_errors.clear()


def test_a_failing_server_is_told_with_a_code(desk):
    card_of(desk)
    desk.route(
        "**/redeem/", lambda route: route.fulfill(status=500, headers={"X-Request-ID": "abcdef1234"}, body="broken")
    )
    desk.keyboard.press("r")

    expect(desk.locator("#toasts [role=alert]")).to_contain_text("abcdef12")
    desk.console_errors.clear()


def test_keys_are_listed_and_can_be_switched_off(desk, hotel):
    card_of(desk)
    desk.keyboard.press("?")
    expect(desk.locator("#keys[open] [data-key-list]")).to_contain_text("兑换积分")
    desk.keyboard.press("Escape")

    User.objects.filter(pk=hotel.user.pk).update(shortcuts_enabled=False)
    desk.reload()
    desk.keyboard.press("r")
    desk.wait_for_timeout(400)

    expect(desk.locator("#dialog[open]")).to_have_count(0)


def test_search_works_from_every_staff_page(desk, live_server):
    desk.goto(f"{live_server.url}/tickets/")
    desk.keyboard.press("Control+k")
    desk.keyboard.type("6621")
    expect(desk.locator(".searchpop a.hit")).to_have_count(1)
    desk.keyboard.press("Enter")

    expect(desk.locator("#guest h1")).to_contain_text("陈思远")


def test_the_browsers_back_button_returns_to_the_guest_before(desk):
    card_of(desk, "陈思远")
    card_of(desk, "王雨桐")

    desk.go_back()

    expect(desk.locator("#guest h1")).to_contain_text("陈思远")


def test_a_tablet_page_does_not_scroll_sideways(desk, hotel):
    desk.set_viewport_size(SIZES["tablet"])
    card_of(desk)
    widths = "[document.documentElement.scrollWidth, window.innerWidth]"
    assert desk.evaluate(widths) == [820, 820]

    in_dialog(desk, "s")

    assert desk.evaluate(widths) == [820, 820]
    heights = desk.evaluate(
        "[...document.querySelectorAll('.action, .top .btn')].map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44


def test_on_a_tablet_the_list_is_the_page_until_a_guest_is_open(desk, live_server):
    desk.set_viewport_size(SIZES["tablet"])
    desk.locator("#q").fill("思远")
    expect(desk.locator("a.hit")).to_have_count(1)
    expect(desk.locator("#guest .blank")).not_to_be_visible()
    desk.locator("a.hit", has_text="陈思远").click()

    expect(desk.locator("#guest h1")).to_contain_text("陈思远")
    expect(desk.locator("#queue-list")).not_to_be_visible()


def test_the_list_slides_in_on_a_tablet(desk):
    desk.set_viewport_size(SIZES["tablet"])
    card_of(desk)
    expect(desk.locator("#queue-list")).not_to_be_visible()
    desk.locator("[data-toggle-queue]").click()
    expect(desk.locator("#queue-list")).to_be_in_viewport()

    desk.keyboard.press("Control+k")
    desk.keyboard.type("wyt")
    expect(desk.locator("a.hit")).to_have_count(1)
    expect(desk.locator("a.hit")).to_be_in_viewport()


@pytest.mark.parametrize("paper", ["registration-card", "points"])
def test_paper_is_one_masked_page(desk, hotel, live_server, paper):
    for number in range(30):
        adjust_points(
            actor=hotel.manager,
            now=hotel.now,
            membership_id=hotel.chen.pk,
            points=number + 1,
            reason="上次入住空调夜间噪音大，客人两次换房，经与值班经理商议补偿积分并致电道歉，客人表示接受",
            place=hotel.place,
            idempotency_key=str(number),
        )
    desk.goto(f"{live_server.url}/guests/{hotel.chen.guest.public_id}/{paper}/")
    desk.emulate_media(media="print")

    pages = desk.pdf(format="A4").count(b"/Type /Page\n")

    assert pages == 1
    expect(desk.locator(".rail")).not_to_be_visible()
    assert "13817756621" not in desk.content().replace(" ", "")


def test_closing_a_ticket_is_undone_on_its_page(desk, hotel, live_server):
    ticket = Ticket.objects.get()
    desk.goto(f"{live_server.url}/tickets/{ticket.public_id}/")
    desk.select_option("[name=root_cause]", "staff")
    desk.fill("[name=resolution]", "已换房")
    desk.get_by_role("button", name="关闭工单").click()
    expect(desk.locator("#toasts")).to_contain_text("工单已关闭")
    desk.locator("#main").focus()
    desk.keyboard.press("z")
    expect(desk.locator("#toasts")).to_contain_text("重新打开")

    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.OPEN


def test_a_guest_is_enrolled_from_another_page(desk, live_server):
    desk.goto(f"{live_server.url}/guests/")
    in_dialog(desk, "n")
    desk.fill("#id_name", "周晓明")
    desk.fill("#id_phone", "13918812276")
    desk.check("#id_consent_programme")
    desk.keyboard.press("Enter")

    expect(desk.locator("#guest h1")).to_contain_text("周晓明")
    expect(desk.locator("#toasts")).to_contain_text("已入会")


def test_a_known_number_leads_to_its_guest(desk, live_server):
    desk.goto(f"{live_server.url}/guests/")
    in_dialog(desk, "n")
    desk.fill("#id_name", "周晓明")
    desk.fill("#id_phone", "13817756621")
    desk.check("#id_consent_programme")
    desk.keyboard.press("Enter")
    desk.get_by_role("link", name="打开宾客卡").click()

    expect(desk.locator("#guest h1")).to_contain_text("陈思远")
    desk.console_errors.clear()


def test_two_people_at_one_profile_see_each_other(desk, hotel):
    card_of(desk)
    in_dialog(desk, "e")
    update_guest(
        actor=hotel.manager,
        now=hotel.now,
        guest_id=hotel.chen.guest_id,
        expected_version=hotel.chen.guest.version,
        changes={"company": "旧公司"},
    )
    desk.fill("#id_company", "新公司")
    desk.keyboard.press("Enter")
    expect(desk.locator("#dialog .problems")).to_contain_text("赵伟")
    expect(desk.locator("#dialog .problems")).to_contain_text("旧公司")
    desk.locator("#dialog button[type=submit]").click()

    expect(desk.locator("#guest .meta")).to_contain_text("新公司")
    desk.console_errors.clear()


def test_everything_works_without_javascript(browser, live_server, hotel, sign_in):
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    sign_in(context)
    page = context.new_page()
    page.goto(f"{live_server.url}/")
    page.locator("#q").fill("csy")
    page.keyboard.press("Enter")
    page.locator("a.hit").first.click()
    page.get_by_role("link", name="兑换积分").click()
    page.locator("[name=reward]").first.check()
    page.locator("main button[type=submit]").click()
    expect(page.locator("#toasts")).to_contain_text("800")
    page.locator(".toast-undo").click()
    expect(page.locator("#toasts")).to_contain_text("积分已退回")
    context.close()

    assert Redemption.objects.get().status == Redemption.Status.CANCELED


PAGES = {
    "desk": "/",
    "card": "/guests/{guest}/",
    "enroll": "/enroll/",
    "redeem": "/guests/{guest}/redeem/",
    "stay": "/guests/{guest}/stay/",
    "ticket": "/guests/{guest}/ticket/",
    "preference": "/guests/{guest}/preferences/add/",
    "guests": "/guests/",
    "tickets": "/tickets/",
    "statement": "/guests/{guest}/points/",
    "registration": "/guests/{guest}/registration-card/",
}


def serious_barriers(page):
    """What axe finds that would stop somebody, by rule and first place."""
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    return [f"{v['id']}: {v['nodes'][0]['target']}" for v in violations if v["impact"] in {"serious", "critical"}]


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_pages_are_drawn_for_inspection(desk, hotel, live_server, language, size):
    """Leaves pictures in var/screenshots; fails on barriers, console errors, sideways scrolling, unmasked phones."""
    User.objects.filter(pk=hotel.user.pk).update(language=language)
    desk.set_viewport_size(SIZES[size])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name, path in PAGES.items():
        desk.goto(live_server.url + path.format(guest=hotel.chen.guest.public_id))
        desk.screenshot(path=SCREENSHOTS / f"{name}_{language}_{size}.png")
        assert desk.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        assert not UNMASKED.search(desk.content()), name
        assert serious_barriers(desk) == [], name
    card = live_server.url + PAGES["card"].format(guest=hotel.chen.guest.public_id)
    for name, key in [("redeem", "r"), ("enroll", "n"), ("ticket", "t"), ("stay", "s")]:
        desk.goto(card)
        in_dialog(desk, key)
        desk.screenshot(path=SCREENSHOTS / f"{name}_dialog_{language}_{size}.png")
