"""The group, its brands, properties, departments, room types and exchange rates."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from hotels.models.access import User

code_validator = RegexValidator(r"^[A-Z0-9][A-Z0-9_-]*$", _("Use capital letters, digits, - and _ only."))
currency_validator = RegexValidator(r"^[A-Z]{3}$", _("Use the three-letter ISO 4217 code, such as CNY."))


def validate_time_zone(value: str) -> None:
    """Refuse a name that is not in the IANA time zone database."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(_("%(value)s is not an IANA time zone, such as Asia/Shanghai."), params={"value": value})


class BilingualName(models.Model):
    """A name in Chinese and English; `local_name` follows the active language."""

    name = models.CharField(_("name (Chinese)"), max_length=120)
    name_en = models.CharField(_("name (English)"), max_length=120, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.local_name

    @property
    def local_name(self) -> str:
        """The name in the language of the reader; Chinese where there is no English one."""
        if (get_language() or "").startswith("en") and self.name_en:
            return self.name_en
        return self.name


class HotelGroup(BilingualName):
    """The hotel group that runs this installation; its name stands on every page."""

    phone = models.CharField(_("telephone"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("hotel group")
        verbose_name_plural = _("hotel groups")


class Brand(BilingualName):
    """A brand of the group; properties belong to one brand."""

    group = models.ForeignKey(HotelGroup, models.PROTECT, related_name="brands", verbose_name=_("hotel group"))
    code = models.CharField(_("code"), max_length=20, unique=True, validators=[code_validator])

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")
        ordering = ["code"]


class PropertyQuerySet(models.QuerySet["Property"]):
    """Reads of properties."""

    def visible_to(self, user: User) -> PropertyQuerySet:
        """Keep the properties inside any of the user's assignments."""
        if user.is_superuser:
            return self
        assignments = user.active_assignments()
        if any(a.group_id for a in assignments):
            return self.filter(
                Q(brand__group__in=[a.group_id for a in assignments if a.group_id])
                | Q(brand__in=[a.brand_id for a in assignments if a.brand_id])
                | Q(pk__in=[a.property_id for a in assignments if a.property_id])
            )
        return self.filter(
            Q(brand__in=[a.brand_id for a in assignments if a.brand_id])
            | Q(pk__in=[a.property_id for a in assignments if a.property_id])
        )


class Property(BilingualName):
    """One hotel, with the time zone its dates and the currency its folios are in."""

    brand = models.ForeignKey(Brand, models.PROTECT, related_name="properties", verbose_name=_("brand"))
    code = models.CharField(_("code"), max_length=20, unique=True, validators=[code_validator])
    city = models.CharField(_("city"), max_length=80, blank=True)
    country = models.CharField(_("country"), max_length=2, default="CN", help_text=_("ISO 3166 two-letter code"))
    time_zone = models.CharField(
        _("time zone"), max_length=60, default="Asia/Shanghai", validators=[validate_time_zone]
    )
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[currency_validator])
    is_active = models.BooleanField(_("active"), default=True)

    objects = PropertyQuerySet.as_manager()

    class Meta:
        verbose_name = _("property")
        verbose_name_plural = _("properties")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"),
                name="hotels_property_currency_iso",
                violation_error_message=_("Use the three-letter ISO 4217 code, such as CNY."),
            ),
        ]

    def local_date(self, now: dt.datetime) -> dt.date:
        """The property's calendar date at an aware instant."""
        return now.astimezone(zoneinfo.ZoneInfo(self.time_zone)).date()


class Department(BilingualName):
    """A department of one property, which owns tickets."""

    property = models.ForeignKey(Property, models.CASCADE, related_name="departments", verbose_name=_("property"))
    code = models.CharField(_("code"), max_length=20, validators=[code_validator])

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ["property", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["property", "code"],
                name="hotels_department_code_unique",
                violation_error_message=_("This property has a department with this code already."),
            )
        ]


class RoomType(BilingualName):
    """A room type that a property sells."""

    property = models.ForeignKey(Property, models.CASCADE, related_name="room_types", verbose_name=_("property"))
    code = models.CharField(_("code"), max_length=20, validators=[code_validator])

    class Meta:
        verbose_name = _("room type")
        verbose_name_plural = _("room types")
        ordering = ["property", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["property", "code"],
                name="hotels_roomtype_code_unique",
                violation_error_message=_("This property has a room type with this code already."),
            )
        ]


class ExchangeRate(models.Model):
    """What one unit of a currency is worth in another from a date on."""

    currency = models.CharField(_("currency"), max_length=3, validators=[currency_validator])
    to_currency = models.CharField(_("into currency"), max_length=3, validators=[currency_validator])
    effective_from = models.DateField(_("effective from"))
    rate = models.DecimalField(_("rate"), max_digits=18, decimal_places=8)

    class Meta:
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        ordering = ["currency", "to_currency", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "to_currency", "effective_from"],
                name="hotels_exchangerate_day_unique",
                violation_error_message=_("There is a rate from this date already."),
            ),
            models.CheckConstraint(
                condition=Q(rate__gt=0),
                name="hotels_exchangerate_positive",
                violation_error_message=_("An exchange rate is above zero."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.currency}/{self.to_currency} {self.rate} ({self.effective_from})"
