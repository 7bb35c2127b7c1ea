"""One person or two: decided by key, taken back by the toast, and likely guests at the enrolment."""

import datetime as dt

import pytest

from members.models import Guest, GuestMerge, MergeCandidate
from tests.browser.conftest import SIZES

pytestmark = pytest.mark.browser


@pytest.fixture
def pair(hotel):
    """Two profiles that may be one person, in the queue."""
    return MergeCandidate.objects.create(
        first=hotel.chen.guest,
        second=hotel.wang.guest,
        weight=5,
        evidence=["name_near", "birthday_same", "phone_near", "company_other"],
        found_at=hotel.now,
    )


def test_a_pair_is_merged_by_key_and_taken_back(pair, hotel, page, live_server, sign_in):
    sign_in(page.context, hotel.manager)
    page.set_default_timeout(20000)
    page.set_viewport_size(SIZES["tablet"])
    page.goto(f"{live_server.url}/duplicates/")
    page.locator("a.row-link").click()
    page.locator("button[value=apart]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.keyboard.press("1")
    page.locator(".toast-undo").wait_for()
    assert GuestMerge.objects.get().survivor == hotel.chen.guest

    page.keyboard.press("z")
    page.locator(".toast-undo").wait_for(state="detached")
    page.locator("#guest").get_by_role("heading", name="王雨桐").wait_for()
    assert Guest.objects.exclude(merged_into=None).count() == 0


def test_likely_guests_are_shown_before_a_second_profile_is_made(hotel, desk):
    Guest.objects.filter(pk=hotel.chen.guest_id).update(birthday=dt.date(1990, 1, 2))
    desk.keyboard.press("n")
    desk.locator("#dialog [name=name]").fill("陈思源")
    desk.locator("#dialog [name=phone]").fill("13900006621")
    desk.keyboard.press("Tab")
    desk.locator("#dialog .known").wait_for()
    assert "陈思远" in desk.locator("#dialog .known").inner_text()
