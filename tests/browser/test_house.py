"""Signing in with a second factor and changing a rule from a date, in a real browser under the strict policy."""

import datetime as dt
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import expect

from hotels.models import Role
from loyalty.models import EarningRuleSet
from tests.factories import PASSWORD, make_programme, make_property, make_staff

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"


@pytest.fixture
def quiet_page(page):
    """A page on which every error of the console, such as a refused script, fails the test."""
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


def sign_in(page, live_server, path):
    page.goto(f"{live_server.url}{path}")
    page.get_by_label("用户名或电子邮箱").fill("manager")
    page.get_by_label("密码").fill(PASSWORD)
    page.keyboard.press("Enter")


def code_for(secret):
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


def test_a_second_factor_is_set_up_before_anything_else(quiet_page, live_server, settings):
    settings.GUIKE_SECOND_FACTOR_ROLES = [Role.GROUP_MANAGER]
    make_property()
    make_staff(Role.GROUP_MANAGER, username="manager")
    sign_in(quiet_page, live_server, "/admin/")
    expect(quiet_page.locator(".note-warning")).to_contain_text("双重验证")

    quiet_page.goto(f"{live_server.url}/accounts/2fa/totp/activate/")
    quiet_page.locator("#id_password").fill(PASSWORD)
    quiet_page.keyboard.press("Enter")
    secret = quiet_page.locator("#authenticator_secret").input_value()
    quiet_page.locator("#id_code").fill(code_for(secret))
    quiet_page.keyboard.press("Enter")
    expect(quiet_page.locator("#recovery_codes")).to_be_visible()

    quiet_page.goto(f"{live_server.url}/admin/")
    expect(quiet_page.get_by_role("link", name="积分规则").first).to_be_visible()


def test_a_rule_is_changed_in_a_draft_that_is_published_from_a_date(quiet_page, live_server):
    make_property()
    make_staff(Role.GROUP_MANAGER, username="manager")
    programme = make_programme()
    published = programme.earning_rule_sets.get()
    first_day = timezone.localdate() + dt.timedelta(days=40)
    sign_in(quiet_page, live_server, f"/admin/loyalty/earningruleset/{published.pk}/change/")

    quiet_page.get_by_role("link", name="创建草稿").click()
    quiet_page.locator("[name=name]").fill("金卡提升")
    quiet_page.get_by_role("button", name="创建草稿").click()
    expect(quiet_page.get_by_text("发布之前一切不变")).to_be_visible()
    quiet_page.get_by_role("link", name="金卡 1.5").click()
    quiet_page.locator("[name=value]").fill("-1")
    quiet_page.get_by_role("button", name="保存", exact=True).click()
    expect(quiet_page.locator(".errorlist, [role=alert]").first).to_be_visible()
    quiet_page.locator("[name=value]").fill("1.8")
    quiet_page.get_by_role("button", name="保存", exact=True).click()
    expect(quiet_page.get_by_text("所有消费每元 1.8 分").first).to_be_visible()
    quiet_page.get_by_role("link", name="自某日起发布").click()
    quiet_page.locator("[name=effective_from]").fill(first_day.isoformat())
    quiet_page.get_by_role("button", name="发布", exact=True).click()

    expect(quiet_page.get_by_text("在此之前一切不变")).to_be_visible()
    assert EarningRuleSet.objects.in_force(timezone.localdate()).get() == published
    successor = EarningRuleSet.objects.in_force(first_day).get()
    assert str(successor.rules.get(code="base-gold").value) == "1.8000"
    assert str(published.rules.get(code="base-gold").value) == "1.5000"


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/members/guest/", "/admin/loyalty/earningruleset/", "/hotels/profile/"]
)
def test_the_pages_of_the_house_are_accessible(page, live_server, path):
    make_property()
    make_programme()
    make_staff(Role.GROUP_MANAGER, username="manager")

    page.goto(f"{live_server.url}/accounts/login/")
    assert serious(page) == []
    sign_in(page, live_server, path)
    page.wait_for_url(f"**{path}")

    assert serious(page) == []


def serious(page):
    """Serious and critical violations that axe finds."""
    page.wait_for_load_state("networkidle")
    time.sleep(0.2)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    return [v["id"] for v in found if v["impact"] in {"serious", "critical"}]
