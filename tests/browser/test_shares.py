"""The queue of shares: decided by key, and whole on a tablet."""

import datetime as dt

import pytest
from django.utils import timezone

from loyalty.models import SharePolicy, SocialShare
from loyalty.services.shares import submit_share
from tests.browser.conftest import SIZES

pytestmark = pytest.mark.browser

LINK = "https://www.xiaohongshu.com/explore/65f0a1b2c3d4e5f6?xsec_token=1&n="


@pytest.fixture
def queue(hotel, page, live_server, sign_in):
    """The queue with three shares, open for the property's manager."""
    SharePolicy.objects.create(programme=hotel.programme, effective_from=dt.date(2020, 1, 1), month_limit=9)
    for platform in ("xiaohongshu", "weibo", "douyin"):
        submit_share(
            actor=None,
            now=timezone.now(),
            membership_id=hotel.chen.pk,
            platform=platform,
            link=f"{LINK}{platform}",
            note="外滩夜景",
        )
    sign_in(page.context, hotel.manager)
    page.set_default_timeout(20000)
    page.goto(f"{live_server.url}/shares/")
    return page


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_queue_fits_a_tablet(queue, live_server, language):
    queue.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    queue.set_viewport_size(SIZES["tablet"])
    queue.reload()

    table = queue.locator(".table-wrap")
    assert table.evaluate("el => el.scrollWidth <= el.clientWidth")
    assert queue.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_share_is_approved_and_taken_back_by_key(queue):
    queue.keyboard.press("a")
    queue.locator(".toast-undo").wait_for()
    assert SocialShare.objects.filter(state="approved").count() == 1

    queue.keyboard.press("z")
    queue.locator("tbody tr").nth(2).wait_for()
    assert SocialShare.objects.filter(state="submitted").count() == 3


def test_refusing_opens_a_form_that_asks_why(queue):
    queue.keyboard.press("r")
    queue.locator("#dialog [name=reason]").fill("与酒店无关")
    queue.keyboard.press("Enter")
    queue.locator(".toast-undo").wait_for()

    assert SocialShare.objects.get(state="rejected").reason == "与酒店无关"
