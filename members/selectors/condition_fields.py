"""What conditions may ask about guests and stays. Registered in `members.apps`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from babel import Locale
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Concat, ExtractDay, ExtractMonth, ExtractYear
from django.db.models.lookups import GreaterThan
from django.utils.text import format_lazy
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from hotels.models import Brand, Property, RoomType
from members.models import Consent, Guest, GuestIdentity, GuestTag, Preference, Stay, Tag
from members.rules.conditions import (
    Field,
    Kind,
    Target,
    register_field_source,
    register_fields,
    register_target,
)

STAY = pgettext_lazy("fields", "Stay")
GUEST = pgettext_lazy("fields", "Guest")
HISTORY = _("Guest's stays")
# Two letters that stand for a union, or for nothing.
NO_COUNTRY = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


class DaysBetween(Func):
    """Days from the second date to the first, as PostgreSQL subtracts dates."""

    template = "(%(expressions)s)"
    arg_joiner = " - "
    arity = 2
    output_field = IntegerField()


# Choices


def _named(rows: Iterable[Property | Brand | Tag]) -> list[tuple[str, str]]:
    return [(row.code, row.local_name) for row in rows]


def _properties() -> list[tuple[str, str]]:
    return _named(Property.objects.order_by("code"))


def _brands() -> list[tuple[str, str]]:
    return _named(Brand.objects.order_by("code"))


def _tags() -> list[tuple[str, str]]:
    return _named(Tag.objects.order_by("code"))


def _cities() -> list[tuple[str, str]]:
    cities = Property.objects.exclude(city="").order_by("city").values_list("city", flat=True).distinct()
    return [(city, city) for city in cities]


def _currencies() -> list[tuple[str, str]]:
    codes = Property.objects.order_by("currency").values_list("currency", flat=True).distinct()
    return [(code, code) for code in codes]


def _room_types() -> list[tuple[str, str]]:
    """Each code once, whatever property sells it, with the names it has there."""
    names: dict[str, list[str]] = {}
    for row in RoomType.objects.order_by("code", "property__code"):
        known = names.setdefault(row.code, [])
        if row.local_name not in known:
            known.append(row.local_name)
    return [(code, f"{code} · {' / '.join(known[:3])}") for code, known in names.items()]


def _countries() -> list[tuple[str, str]]:
    locale = Locale.parse("en" if (get_language() or "").startswith("en") else "zh_Hans")
    countries = [(code, name) for code, name in locale.territories.items() if code.isalpha() and code not in NO_COUNTRY]
    # Those that most guests come from stand first; the list has some 260.
    first = ("CN", "HK", "MO", "TW")
    return sorted(countries, key=lambda country: (country[0] not in first, country[1]))


def _consents() -> list[tuple[str, str]]:
    return [
        (f"{purpose.value}:{channel.value}", f"{purpose.label} · {channel.label}")
        for purpose in Consent.Purpose
        for channel in Consent.Channel
    ]


# Rows that hold one value each


def _tag_rows() -> QuerySet[GuestTag]:
    return GuestTag.objects.all()


def _preference_rows() -> QuerySet[Preference]:
    return Preference.objects.all()


def _consent_rows() -> QuerySet[Any]:
    """Purposes and channels that the guest's newest answer grants."""
    newer = Consent.objects.filter(
        Q(recorded_at__gt=OuterRef("recorded_at")) | Q(recorded_at=OuterRef("recorded_at"), pk__gt=OuterRef("pk")),
        guest=OuterRef("guest"),
        purpose=OuterRef("purpose"),
        channel=OuterRef("channel"),
    )
    return Consent.objects.filter(~Exists(newer), granted=True).annotate(
        purpose_and_channel=Concat("purpose", Value(":"), "channel", output_field=CharField())
    )


# Expressions


def _age(prefix: str, today: dt.date) -> Any:
    """Full years; who was born on 29 February grows older on 1 March of other years."""
    birthday = f"{prefix}birthday"
    day_of_year = ExpressionWrapper(ExtractMonth(birthday) * 100 + ExtractDay(birthday), IntegerField())
    is_to_come = Q(GreaterThan(day_of_year, today.month * 100 + today.day))
    years_begun = Value(today.year) - ExtractYear(birthday)
    return ExpressionWrapper(years_begun - Case(When(is_to_come, then=1), default=0), IntegerField())


def _lead_days(prefix: str, _today: dt.date) -> Any:
    return DaysBetween(F(f"{prefix}arrival_date"), F(f"{prefix}reservation__booked_on_date"))


def _stay_nights(prefix: str, _today: dt.date) -> Any:
    return DaysBetween(F(f"{prefix}departure_date"), F(f"{prefix}arrival_date"))


def _is_paid(prefix: str, _today: dt.date) -> Any:
    return _truth(Q(**{f"{prefix}net_total__gt": 0}))


def _is_first_stay(prefix: str, _today: dt.date) -> Any:
    departure, pk = OuterRef(f"{prefix}departure_date"), OuterRef(f"{prefix}pk")
    earlier = Stay.objects.filter(
        Q(departure_date__lt=departure) | Q(departure_date=departure, pk__lt=pk),
        guest=OuterRef(f"{prefix}guest"),
        status=Stay.Status.CHECKED_OUT,
    )
    return _truth(Q(**{f"{prefix}guest__isnull": False}) & ~Exists(earlier))


def _in_birth_month(prefix: str, _today: dt.date) -> Any:
    """False, not missing, where the birthday is not known: a rule for birthdays gives nothing then."""
    return _truth(Q(**{f"{prefix}departure_date__month": F(f"{prefix}guest__birthday__month")}))


def _truth(condition: Any) -> Any:
    """A condition as a value that is never missing."""
    return Case(When(condition, then=True), default=False, output_field=BooleanField())


def _has_identity(kind: str) -> Any:
    def expression(prefix: str, _today: dt.date) -> Any:
        return Exists(GuestIdentity.objects.filter(guest=OuterRef(f"{prefix}pk"), kind=kind))

    return expression


# Figures of a guest's finished stays


def _year_before(today: dt.date) -> Q:
    """Departures within the twelve months that end today."""
    try:
        begin = today.replace(year=today.year - 1)
    except ValueError:
        begin = dt.date(today.year - 1, 2, 28)
    return Q(departure_date__gt=begin, departure_date__lte=today)


def _figure(value: Any, output: Any, *, last_year: bool = False, currency: str = "") -> Any:
    """Add up something over the finished stays of a guest; nought where there are none."""

    def expression(prefix: str, today: dt.date) -> Any:
        rows = Stay.objects.filter(guest=OuterRef(f"{prefix}pk"), status=Stay.Status.CHECKED_OUT)
        if last_year:
            rows = rows.filter(_year_before(today))
        if currency:
            rows = rows.filter(currency=currency)
        totals = rows.order_by().values("guest").annotate(total=value).values("total")
        return Coalesce(Subquery(totals), Value(0), output_field=output)

    return expression


_STAYS: tuple[Any, Any] = (Count("pk"), IntegerField())
_NIGHTS: tuple[Any, Any] = (Sum(DaysBetween(F("departure_date"), F("arrival_date"))), IntegerField())
_REVENUE: tuple[Any, Any] = (Sum("net_total"), DecimalField(max_digits=20, decimal_places=2))


def revenue_fields(target: str) -> list[Field]:
    """A guest's net revenue for each currency of the group: amounts of two currencies do not add up."""
    if target != "guest":
        return []
    return [
        Field(
            f"guest.revenue.{code}{suffix}",
            "guest",
            Kind.MONEY,
            format_lazy("{label} ({code})", label=label, code=code),
            group=HISTORY,
            nullable=False,
            expression=_figure(*_REVENUE, last_year=bool(suffix), currency=code),
        )
        for code, _label in _currencies()
        for suffix, label in (("", _("net revenue so far")), (".12m", _("net revenue in the last 12 months")))
    ]


def register() -> None:
    """Tell the conditions what may be asked of guests and stays."""
    register_target(Target("guest", _("guest"), Guest.objects.current))
    register_target(Target("stay", _("stay"), Stay.objects.all, {"guest": "guest__"}))
    register_fields(*_stay_fields(), *_guest_fields())
    register_field_source(revenue_fields)


def _stay_fields() -> list[Field]:
    def stay(name: str, kind: str, label: Any, path: str = "", **more: Any) -> Field:
        return Field(f"stay.{name}", "stay", kind, label, path, group=STAY, **more)

    return [
        stay("property", Kind.CHOICE, _("property"), "property__code", choices=_properties, nullable=False),
        stay("brand", Kind.CHOICE, _("brand"), "property__brand__code", choices=_brands, nullable=False),
        stay("city", Kind.CHOICE, _("city"), "property__city", choices=_cities),
        stay("room_type", Kind.CHOICE, _("room type"), "room_type__code", choices=_room_types),
        stay("rate_plan", Kind.TEXT, _("rate plan"), "rate_plan"),
        stay("channel", Kind.TEXT, _("channel"), "channel"),
        stay("market_segment", Kind.TEXT, _("market segment"), "market_segment"),
        stay(
            "is_group",
            Kind.BOOLEAN,
            _("group booking"),
            "is_group",
            nullable=False,
            when_true=_("it is a group booking"),
            when_false=_("it is not a group booking"),
        ),
        stay("arrival_date", Kind.DATE, _("arrival"), "arrival_date", nullable=False),
        stay("departure_date", Kind.DATE, _("departure"), "departure_date", nullable=False),
        stay("arrival_weekday", Kind.WEEKDAY, _("day of arrival"), "arrival_date__iso_week_day", nullable=False),
        stay("departure_weekday", Kind.WEEKDAY, _("day of departure"), "departure_date__iso_week_day", nullable=False),
        stay("arrival_month", Kind.MONTH, _("month of arrival"), "arrival_date__month", nullable=False),
        stay("booked_on_date", Kind.DATE, _("booking date"), "reservation__booked_on_date"),
        stay("lead_days", Kind.NUMBER, _("lead time"), expression=_lead_days, unit=pgettext_lazy("unit", "days")),
        stay(
            "nights",
            Kind.NUMBER,
            _("length of stay"),
            expression=_stay_nights,
            unit=pgettext_lazy("unit", "nights"),
            nullable=False,
        ),
        stay("net_total", Kind.MONEY, _("net total of the stay"), "net_total", nullable=False),
        stay("currency", Kind.CHOICE, _("currency"), "currency", choices=_currencies, nullable=False),
        stay(
            "is_first_stay",
            Kind.BOOLEAN,
            _("first stay"),
            expression=_is_first_stay,
            nullable=False,
            when_true=_("it is the guest's first stay"),
            when_false=_("it is not the guest's first stay"),
        ),
        stay(
            "is_paid",
            Kind.BOOLEAN,
            _("paid stay"),
            expression=_is_paid,
            nullable=False,
            when_true=_("something was paid for the stay"),
            when_false=_("nothing was paid for the stay"),
        ),
        stay(
            "is_in_birth_month",
            Kind.BOOLEAN,
            _("departure in the birthday month"),
            expression=_in_birth_month,
            nullable=False,
            when_true=_("the guest leaves in their birthday month"),
            when_false=_("the guest does not leave in their birthday month"),
        ),
    ]


def _guest_fields() -> list[Field]:
    def guest(name: str, kind: str, label: Any, path: str = "", **more: Any) -> Field:
        return Field(f"guest.{name}", "guest", kind, label, path, **{"group": GUEST, **more})

    genders = [(gender.value, gender.label) for gender in Guest.Gender if gender.value]
    return [
        guest("gender", Kind.CHOICE, _("gender"), "gender", choices=genders),
        guest("birth_month", Kind.MONTH, _("birthday month"), "birthday__month"),
        guest("age", Kind.NUMBER, _("age"), expression=_age, unit=pgettext_lazy("unit", "years")),
        guest("nationality", Kind.CHOICE, _("nationality"), "nationality", choices=_countries),
        guest("language", Kind.TEXT, _("language"), "language"),
        guest("company", Kind.TEXT, _("company"), "company"),
        guest("tags", Kind.CHOICES, _("tags"), "tag__code", choices=_tags, rows=_tag_rows, owner="guest"),
        guest(
            "preferences",
            Kind.CHOICES,
            _("preferences"),
            "category",
            choices=list(Preference.Category.choices),
            rows=_preference_rows,
            owner="guest",
        ),
        guest(
            "consents",
            Kind.CHOICES,
            _("consents"),
            "purpose_and_channel",
            choices=_consents,
            rows=_consent_rows,
            owner="guest",
        ),
        guest(
            "has_phone",
            Kind.BOOLEAN,
            _("phone number"),
            expression=_has_identity(GuestIdentity.Kind.PHONE),
            nullable=False,
            when_true=_("the guest's phone number is known"),
            when_false=_("the guest's phone number is not known"),
        ),
        guest(
            "has_email",
            Kind.BOOLEAN,
            _("e-mail address"),
            expression=_has_identity(GuestIdentity.Kind.EMAIL),
            nullable=False,
            when_true=_("the guest's e-mail address is known"),
            when_false=_("the guest's e-mail address is not known"),
        ),
        guest("created_date", Kind.DATE, _("date of registration"), "created_at__date", nullable=False),
        guest("last_stay_date", Kind.DATE, _("last departure"), "last_stay_date", group=HISTORY),
        *(
            guest(name, Kind.NUMBER, label, expression=expression, unit=unit, nullable=False, group=HISTORY)
            for name, label, unit, expression in (
                ("stays", _("number of stays so far"), pgettext_lazy("unit", "stays"), _figure(*_STAYS)),
                (
                    "stays_12m",
                    _("number of stays in the last 12 months"),
                    pgettext_lazy("unit", "stays"),
                    _figure(*_STAYS, last_year=True),
                ),
                ("nights", _("number of nights so far"), pgettext_lazy("unit", "nights"), _figure(*_NIGHTS)),
                (
                    "nights_12m",
                    _("number of nights in the last 12 months"),
                    pgettext_lazy("unit", "nights"),
                    _figure(*_NIGHTS, last_year=True),
                ),
            )
        ),
    ]
