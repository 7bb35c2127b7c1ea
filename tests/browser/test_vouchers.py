"""Vouchers at the desk in a real browser: three keys from the card or the shell, undo, refusals, tablet, camera, print."""

import datetime as dt

import pytest
from django.conf import settings
from playwright.sync_api import expect

from loyalty.models import Voucher
from loyalty.rules.vouchers import spell_code
from loyalty.services.vouchers import issue_voucher
from tests.browser.conftest import SIZES
from tests.factories import make_voucher_type

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"
SCREENSHOTS = settings.BASE_DIR / "var/screenshots"
# A camera that holds a QR code before the lens, in a browser that can read them.
CAMERA = """
window.BarcodeDetector = class { async detect() { return [{ rawValue: window.codeBeforeTheCamera }]; } };
Object.defineProperty(navigator, "mediaDevices", { value: {
  getUserMedia: async () => { const s = document.createElement("canvas").captureStream(); window.stream = s; return s; } } });
HTMLMediaElement.prototype.play = async () => {};
"""


@pytest.fixture
def vouchers(hotel):
    """A voucher of the guest in house, and one for whoever carries it."""
    plain = make_voucher_type(hotel.programme, name="百元餐饮券", name_en="CNY 100 for dining", is_stackable=False)
    free = make_voucher_type(
        hotel.programme,
        kind="percent",
        percent=20,
        amount=200,
        name="水疗八折券",
        name_en="20% off the spa",
        min_spend=300,
    )
    facts = {"actor": None, "now": hotel.now}
    return {
        "own": issue_voucher(**facts, type_id=plain.pk, membership_id=hotel.chen.pk),
        "bearer": issue_voucher(**facts, type_id=make_voucher_type(hotel.programme).pk, membership_id=None),
        "percent": issue_voucher(**facts, type_id=free.pk, membership_id=hotel.chen.pk),
    }


def card_of(page, name):
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator("#guest h1")).to_contain_text(name)
    expect(page.locator("#guest h1")).to_be_focused()


def blocking(page):
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    return [(v["id"], v["nodes"][0]["html"][:160]) for v in found if v["impact"] in {"serious", "critical"}]


def test_three_keys_from_the_card_use_a_voucher_and_one_undoes_it(vouchers, desk):
    voucher = vouchers["own"]
    card_of(desk, "陈思远")
    desk.keyboard.press("v")
    expect(desk.locator("#id_code")).to_be_focused()
    desk.keyboard.type(spell_code(voucher.code).lower())
    desk.keyboard.press("Enter")
    button = desk.locator("#dialog button[type=submit]")
    expect(button).to_be_focused()
    expect(desk.locator("#dialog")).to_contain_text("陈思远")
    desk.keyboard.press("Enter")

    expect(desk.locator("#toasts")).to_contain_text("已核销，抵扣 ¥100")
    expect(desk.locator("#dialog")).not_to_be_visible()
    voucher.refresh_from_db()
    assert (voucher.state, voucher.folio_reference) == ("redeemed", "R1")
    desk.wait_for_timeout(8000)
    desk.keyboard.press("z")
    expect(desk.locator("#toasts")).to_contain_text("恢复可用")
    voucher.refresh_from_db()
    assert voucher.state == "issued"


def test_from_any_page_a_bearer_voucher_is_used_over_it(vouchers, desk):
    card_of(desk, "王雨桐")
    desk.keyboard.press("q")
    expect(desk.locator("#id_code")).to_be_focused()
    desk.keyboard.type(vouchers["bearer"].code)
    desk.keyboard.press("Enter")
    expect(desk.locator("#dialog button[type=submit]")).to_be_focused()
    desk.keyboard.press("Enter")

    expect(desk.locator("#toasts")).to_contain_text("已核销")
    expect(desk.locator("#dialog")).not_to_be_visible()
    expect(desk.locator("#guest h1")).to_contain_text("王雨桐")
    assert Voucher.objects.get(pk=vouchers["bearer"].pk).state == "redeemed"
    desk.keyboard.press("q")
    expect(desk.locator("#id_code")).to_be_focused()
    desk.keyboard.type(vouchers["bearer"].code)
    desk.keyboard.press("Enter")
    expect(desk.locator("#dialog [role=alert]")).to_contain_text("由林芳核销")


def test_a_foreign_guests_voucher_and_too_small_a_bill_are_refused(vouchers, desk):
    card_of(desk, "王雨桐")
    desk.keyboard.press("v")
    expect(desk.locator("#id_code")).to_be_focused()
    desk.keyboard.type(vouchers["own"].code)
    desk.keyboard.press("Enter")
    expect(desk.locator("#dialog [role=alert]")).to_contain_text("属于另一位会员")
    desk.keyboard.press("Escape")

    card_of(desk, "陈思远")
    desk.locator(".voucher-lines a", has_text="水疗").click()
    expect(desk.locator("#id_spend")).to_be_focused()
    desk.keyboard.type("280")
    desk.keyboard.press("Enter")
    expect(desk.locator("#id_spend_error")).to_contain_text("还差 ¥20")
    # The browser tells of the refusal's status; that is no fault of the page.
    desk.console_errors[:] = [error for error in desk.console_errors if "422" not in error]
    assert set(Voucher.objects.values_list("state", flat=True)) == {"issued"}


def test_a_camera_reads_the_code(vouchers, desk):
    desk.add_init_script(CAMERA)
    desk.reload()
    desk.evaluate("code => { window.codeBeforeTheCamera = code; }", vouchers["bearer"].code)
    desk.keyboard.press("q")
    desk.locator("[data-scan-start]").click()

    expect(desk.locator("#dialog")).to_contain_text("可以使用")
    assert desk.evaluate("window.stream.getTracks().every(track => track.readyState === 'ended')")


def test_without_a_reader_there_is_no_button_for_the_camera(vouchers, desk):
    desk.keyboard.press("q")
    expect(desk.locator("#id_code")).to_be_focused()

    expect(desk.locator("[data-scan-start]")).to_be_hidden()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("size", ["desktop", "tablet"])
def test_pages_fit_and_can_be_used_by_everybody(vouchers, desk, hotel, sign_in, live_server, language, size):
    hotel.user.language = hotel.manager.language = language
    hotel.user.save(update_fields=["language"])
    hotel.manager.save(update_fields=["language"])
    desk.set_viewport_size(SIZES[size])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    desk.context.clear_cookies()
    sign_in(desk.context, hotel.manager)
    own, guest = vouchers["own"], hotel.chen.guest
    pages = {
        "verify": f"/guests/{guest.public_id}/vouchers/",
        "use": f"/vouchers/{own.public_id}/use/",
        "issue": f"/guests/{guest.public_id}/vouchers/issue/",
        "page": f"/vouchers/{own.public_id}/",
        "print": f"/vouchers/{own.public_id}/print/",
        "card": f"/guests/{guest.public_id}/",
    }
    for name, path in pages.items():
        desk.goto(f"{live_server.url}{path}")
        assert desk.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert blocking(desk) == [], name
        desk.screenshot(path=SCREENSHOTS / f"voucher_{name}_{language}_{size}.png", full_page=name == "card")
    desk.keyboard.press("v")
    expect(desk.locator("#dialog[open]")).to_be_visible()
    desk.screenshot(path=SCREENSHOTS / f"voucher_dialog_{language}_{size}.png")
    assert dt.date.today() <= own.expires_on  # noqa: DTZ011
