"""Template tags of the staff pages: icons, and numbers, money and dates by locale."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from django import template
from django.conf import settings
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, pgettext_lazy

register = template.Library()

# Where `make assets` leaves the drawings; the second is npm's own folder.
ICON_FOLDERS = ("static/vendor/icons", "node_modules/@tabler/icons/icons")
CURRENCY_SYMBOLS = {
    "CNY": "¥",
    "USD": "US$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "JP¥",
    "HKD": "HK$",
    "SGD": "S$",
    "THB": "฿",
    "MYR": "RM",
}


class IconMissing(LookupError):
    """A template names an icon that is not in the icon set."""


@lru_cache(maxsize=512)
def _drawing(name: str, kind: str) -> str:
    for folder in ICON_FOLDERS:
        path = settings.BASE_DIR / f"{folder}/{kind}/{name}.svg"
        if path.is_file():
            svg = re.sub(r"<!--.*?-->\s*", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            return re.sub(r'\s(class|width|height)="[^"]*"', "", svg, count=3).replace("\n", "")
    message = f"{kind}/{name}"
    raise IconMissing(message)


@register.simple_tag
def icon(name: str, size: int = 18, kind: str = "outline") -> SafeString:
    """Draw an icon of the Tabler set inline; it says nothing to a screen reader.

    Raises:
        IconMissing: The set has no such icon.
    """
    svg = _drawing(name, kind).replace(
        "<svg", f'<svg class="icon" width="{size}" height="{size}" aria-hidden="true" focusable="false"', 1
    )
    return mark_safe(svg)  # noqa: S308 - the drawing comes from the icon set, the rest from the template


@register.filter
def number(value: Decimal | int | None) -> str:
    """Group thousands by commas, as both languages do: 48,260; an absent figure is a dash."""
    return "–" if value is None else f"{value:,}"


@register.filter
def signed(value: int) -> str:
    """Write a change of points with its sign: +1,088 or −2,000."""
    return f"+{value:,}" if value > 0 else f"−{-value:,}" if value < 0 else "0"


@register.filter
def money(value: Decimal | None, currency: str) -> str:
    """Write an amount with its currency's sign, without cents where there are none: ¥2,310 or US$96.50."""
    if value is None:
        return "–"
    symbol = CURRENCY_SYMBOLS.get(currency, f"{currency} ")
    digits = f"{abs(value):,.2f}".removesuffix(".00")
    return f"{'−' if value < 0 else ''}{symbol}{digits}"


def _is_english() -> bool:
    return (get_language() or "").startswith("en")


def _calendar_day(date: dt.date, today: dt.date) -> str:
    if date.year != today.year:
        return date_format(date, "j M Y") if _is_english() else f"{date:%Y-%m-%d}"
    return date_format(date, "j M") if _is_english() else f"{date:%m-%d}"


@register.filter
def day(value: dt.date | None, today: dt.date) -> str:
    """Write a date near today as a person says it, always with the date: 今天 11-22, 明天 11-23, 2025-11-23."""
    if value is None:
        return "–"
    words = {-1: gettext("yesterday"), 0: gettext("today"), 1: gettext("tomorrow")}
    word = words.get((value - today).days, "")
    date = _calendar_day(value, today)
    return f"{word} {date}" if word else date


@register.filter
def short_day(value: dt.date | None, today: dt.date) -> str:
    """Write a date where there is little room: only the word for today and tomorrow, else the date."""
    if value is None:
        return ""
    words = {-1: gettext("yesterday"), 0: gettext("today"), 1: gettext("tomorrow")}
    return words.get((value - today).days) or _calendar_day(value, today)


WEEKDAYS = (
    pgettext_lazy("short weekday", "Mon"),
    pgettext_lazy("short weekday", "Tue"),
    pgettext_lazy("short weekday", "Wed"),
    pgettext_lazy("short weekday", "Thu"),
    pgettext_lazy("short weekday", "Fri"),
    pgettext_lazy("short weekday", "Sat"),
    pgettext_lazy("short weekday", "Sun"),
)


@register.filter
def weekday_day(value: dt.date | None, today: dt.date) -> str:
    """Write a date with its day of the week: 11-20 周五, or today's word."""
    if value is None:
        return "–"
    text = day(value, today)
    is_near = abs((value - today).days) <= 1
    return text if is_near else f"{text} {WEEKDAYS[value.weekday()]}"


@register.filter
def clock(value: dt.datetime | None) -> str:
    """Write the time of day of a datetime that already is in the reader's zone."""
    return "–" if value is None else f"{value:%H:%M}"


@register.filter
def long_date(value: dt.date | None) -> str:
    """Write a date in full, for print: 2026-11-22 or 22 November 2026."""
    if value is None:
        return "–"
    return date_format(value, "j F Y") if _is_english() else f"{value:%Y-%m-%d}"


@register.filter
def country(code: str) -> str:
    """Name a country by its two-letter code: 中国 or China; an unknown code stands for itself."""
    names = Locale.parse("en" if _is_english() else "zh_Hans").territories
    return str(names.get(code, code))


@register.filter
def initial(name: str) -> str:
    """The first character of a name, for the round mark beside it."""
    return name[:1].upper()


@register.simple_tag
def highlight(text: str, query: str) -> SafeString | str:
    """Mark the searched words inside a text, ignoring case; the text is escaped."""
    start = text.casefold().find(query.casefold()) if query else -1
    if start < 0:
        return text
    end = start + len(query)
    return format_html("{}<mark>{}</mark>{}", text[:start], text[start:end], text[end:])
