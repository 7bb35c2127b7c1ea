"""Finance in the browser: a month on a tablet and a desk screen, without barriers, and from a figure to its rows."""

import pytest
from django.conf import settings

from tests.browser.conftest import SIZES

pytestmark = pytest.mark.browser
AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"


@pytest.mark.parametrize(("language", "size"), [("zh-hans", "desktop"), ("en", "tablet")])
def test_a_month_is_read_down_to_its_rows(hotel, page, live_server, sign_in, language, size):
    sign_in(page.context, hotel.manager)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    page.set_default_timeout(20000)
    page.set_viewport_size(SIZES[size])
    page.goto(f"{live_server.url}/finance/?month={hotel.today:%Y-%m}")
    page.locator("h1").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    assert [v["id"] for v in found if v["impact"] in {"serious", "critical"}] == []

    figure = page.locator(".finance-table a").first
    points = figure.inner_text()
    figure.click()

    page.locator("tbody tr").first.wait_for()
    assert points.lstrip("−") in page.locator("tbody").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
