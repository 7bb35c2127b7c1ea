"""Icons, numbers, money and dates as the staff pages write them."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.utils import translation

from hotels.templatetags import ui
from members.selectors.desk import DRAWINGS

TODAY = dt.date(2026, 11, 22)
ICON = re.compile(r"{% icon '([a-z0-9-]+)'(?: \d+)?(?: '(\w+)')?")
DRAWING = re.compile(r'drawing="([a-z0-9-]+)"')
ACTION_ICON = re.compile(r'"[A-Z]", "([a-z0-9-]+)", _\(')


def icons_in_use() -> set[tuple[str, str]]:
    found = {(name, "outline") for name in DRAWINGS.values()}
    for path in Path(settings.BASE_DIR / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        found |= {(name, kind or "outline") for name, kind in ICON.findall(text)}
        found |= {(name, "outline") for name in DRAWING.findall(text)}
    for path in settings.BASE_DIR.glob("*/[sv]*/*.py"):
        found |= {(name, "outline") for name in ACTION_ICON.findall(path.read_text(encoding="utf-8"))}
    return found


@pytest.mark.parametrize(("name", "kind"), sorted(icons_in_use()))
def test_every_icon_in_use_is_in_the_set(name, kind):
    assert "<svg" in ui.icon(name, 18, kind)


def test_an_unknown_icon_is_an_error():
    with pytest.raises(ui.IconMissing):
        ui.icon("no-such-icon")


def test_an_icon_says_nothing_to_a_screen_reader():
    assert 'aria-hidden="true"' in ui.icon("search")


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_thousands_are_grouped_in_both_languages(language):
    with translation.override(language):
        assert ui.number(48260) == "48,260"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (Decimal("2310.00"), "CNY", "¥2,310"),
        (Decimal("96.5"), "USD", "US$96.50"),
        (Decimal("-12.30"), "CNY", "−¥12.30"),
        (Decimal(7), "XXX", "XXX 7"),
        (None, "CNY", "–"),
    ],
)
def test_money_carries_its_currency(amount, currency, text):
    assert ui.money(amount, currency) == text


@pytest.mark.parametrize(("points", "text"), [(1088, "+1,088"), (-2000, "−2,000"), (0, "0")])
def test_changes_of_points_carry_their_sign(points, text):
    assert ui.signed(points) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "今天 11-22"), (1, "明天 11-23"), (-1, "昨天 11-21"), (5, "11-27"), (60, "2027-01-21"), (-400, "2025-10-18")],
)
def test_days_near_today_are_called_by_name(days, text):
    assert ui.day(TODAY + dt.timedelta(days=days), TODAY) == text


def test_days_in_english():
    with translation.override("en"):
        assert ui.day(TODAY, TODAY) == "today 22 Nov"
        assert ui.weekday_day(dt.date(2026, 11, 27), TODAY) == "27 Nov Fri"
        assert ui.day(dt.date(2027, 1, 2), TODAY) == "2 Jan 2027"


@pytest.mark.parametrize(
    ("language", "code", "text"), [("zh-hans", "CN", "中国"), ("en", "TH", "Thailand"), ("en", "ZZZ", "ZZZ")]
)
def test_a_country_is_called_by_its_name(language, code, text):
    with translation.override(language):
        assert ui.country(code) == text


def test_highlighting_escapes_the_text():
    template = Template("{% highlight name query %}")

    html = template.render(Context({"name": "<b>Miller</b>", "query": "mill"}))

    assert html == "&lt;b&gt;<mark>Mill</mark>er&lt;/b&gt;"


@pytest.mark.parametrize("path", ["*.html", "*/*.html", "*/*/*.html"])
def test_templates_carry_no_inline_script_or_style(path):
    inline = re.compile(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|hx-on", re.IGNORECASE)

    found = [p.name for p in (settings.BASE_DIR / "templates").glob(path) if inline.search(p.read_text("utf-8"))]

    assert found == []
