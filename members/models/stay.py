"""Reservations, stays and what was charged on them."""

from __future__ import annotations

import builtins
import uuid
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, RoomType
from members.models.guest import Guest

if TYPE_CHECKING:
    from hotels.models import User


class RevenueCategory(models.TextChoices):
    """What a folio line charges for; earning rules choose among these."""

    ROOM = "room", _("room")
    FOOD = "food", _("food and drink")
    SPA = "spa", _("spa")
    LAUNDRY = "laundry", _("laundry")
    TRANSPORT = "transport", _("transport")
    SHOP = "shop", _("shop")
    OTHER = "other", _("other")


class Visit(models.Model):
    """The facts that a reservation and a stay have in common."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    property = models.ForeignKey(Property, models.PROTECT, related_name="%(class)ss", verbose_name=_("property"))
    source_system = models.CharField(_("source system"), max_length=40)
    source_reference = models.CharField(_("number in the source system"), max_length=80)
    guest = models.ForeignKey(
        Guest, models.PROTECT, null=True, blank=True, related_name="%(class)ss", verbose_name=_("guest")
    )
    # Property-local dates; the departure date is not a night stayed.
    arrival_date = models.DateField(_("arrival"))
    departure_date = models.DateField(_("departure"))
    room_type = models.ForeignKey(
        RoomType, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("room type")
    )
    room_number = models.CharField(_("room"), max_length=10, blank=True)
    rate_plan = models.CharField(_("rate plan"), max_length=40, blank=True)
    channel = models.CharField(_("channel"), max_length=40, blank=True)
    market_segment = models.CharField(_("market segment"), max_length=40, blank=True)
    is_group = models.BooleanField(_("group booking"), default=False, db_default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.source_reference} ({self.arrival_date} – {self.departure_date})"

    @builtins.property
    def nights(self) -> int:
        """Nights from arrival to departure; 0 for day use."""
        return (self.departure_date - self.arrival_date).days


class ReservationQuerySet(models.QuerySet["Reservation"]):
    """Reads of reservations."""

    def visible_to(self, user: User) -> ReservationQuerySet:
        """Keep reservations of the user's properties; a guest sees their own."""
        if user.is_superuser or user.active_assignments():
            return self.filter(property__in=Property.objects.visible_to(user))
        return self.filter(guest__user=user)


class Reservation(Visit):
    """A booking of a room for some nights."""

    class Status(models.TextChoices):
        """Where the booking stands."""

        RESERVED = "reserved", _("reserved")
        IN_HOUSE = "in_house", _("in house")
        CHECKED_OUT = "checked_out", _("checked out")
        CANCELED = "canceled", _("canceled")
        NO_SHOW = "no_show", _("no-show")

    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.RESERVED)
    booked_on_date = models.DateField(_("booked on"), null=True, blank=True)
    status_date = models.DateField(_("status since"), null=True, blank=True)
    adults = models.PositiveSmallIntegerField(_("adults"), default=1)
    children = models.PositiveSmallIntegerField(_("children"), default=0)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, default=0)
    currency = models.CharField(_("currency"), max_length=3)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        constraints = [
            models.UniqueConstraint(
                fields=["source_system", "property", "source_reference"],
                name="members_reservation_source_unique",
                violation_error_message=_("This reservation is known already."),
            ),
            models.CheckConstraint(
                condition=Q(departure_date__gte=F("arrival_date")),
                name="members_reservation_dates_ordered",
                violation_error_message=_("The departure is before the arrival."),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["reserved", "in_house", "checked_out", "canceled", "no_show"]),
                name="members_reservation_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["property", "arrival_date", "status"], name="members_reservation_arrival"),
            models.Index(fields=["guest", "-arrival_date"], name="members_reservation_guest"),
            models.Index(fields=["source_reference"], name="members_reservation_reference"),
            models.Index(
                fields=["property", "departure_date"],
                condition=Q(status="in_house"),
                name="members_reservation_in_house",
            ),
        ]


class StayQuerySet(models.QuerySet["Stay"]):
    """Reads of stays."""

    def visible_to(self, user: User) -> StayQuerySet:
        """Keep stays of the user's properties; a guest sees their own."""
        if user.is_superuser or user.active_assignments():
            return self.filter(property__in=Property.objects.visible_to(user))
        return self.filter(guest__user=user)


class Stay(Visit):
    """A guest's time in one room, with its folio; without a guest it waits to be claimed."""

    class Status(models.TextChoices):
        """Where the stay stands."""

        IN_HOUSE = "in_house", _("in house")
        CHECKED_OUT = "checked_out", _("checked out")
        VOIDED = "voided", _("voided")

    reservation = models.OneToOneField(
        Reservation, models.PROTECT, null=True, blank=True, related_name="stay", verbose_name=_("reservation")
    )
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.CHECKED_OUT)
    # Sum of the folio lines, tax excluded, kept by the services that write lines.
    net_total = models.DecimalField(_("net total"), max_digits=14, decimal_places=2, default=0)
    currency = models.CharField(_("currency"), max_length=3)
    checked_out_at = models.DateTimeField(_("checked out at"), null=True, blank=True)
    # What the source sent first, so that a repeat is told from a contradiction after the folio has grown.
    content_hash = models.CharField(max_length=64, blank=True, editable=False)

    objects = StayQuerySet.as_manager()

    class Meta:
        verbose_name = _("stay")
        verbose_name_plural = _("stays")
        permissions = [("post_stay", _("Can post stays"))]
        constraints = [
            models.UniqueConstraint(
                fields=["source_system", "property", "source_reference"],
                name="members_stay_source_unique",
                violation_error_message=_("This stay is posted already."),
            ),
            models.CheckConstraint(
                condition=Q(departure_date__gte=F("arrival_date")),
                name="members_stay_dates_ordered",
                violation_error_message=_("The departure is before the arrival."),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["in_house", "checked_out", "voided"]), name="members_stay_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-departure_date", "-id"], name="members_stay_guest"),
            models.Index(fields=["property", "departure_date"], name="members_stay_departure"),
            models.Index(fields=["source_reference"], name="members_stay_reference"),
            models.Index(
                fields=["property", "room_number"], condition=Q(status="in_house"), name="members_stay_in_house"
            ),
        ]


class FolioLine(models.Model):
    """One charge or correction on a stay; negative amounts are rebates."""

    stay = models.ForeignKey(Stay, models.CASCADE, related_name="folio_lines", verbose_name=_("stay"))
    line_reference = models.CharField(_("line"), max_length=40)
    business_date = models.DateField(_("business date"))
    category = models.CharField(_("revenue category"), max_length=12, choices=RevenueCategory)
    description = models.CharField(_("description"), max_length=120, blank=True)
    net_amount = models.DecimalField(_("net amount"), max_digits=14, decimal_places=2)
    tax_amount = models.DecimalField(_("tax"), max_digits=14, decimal_places=2, default=0)
    currency = models.CharField(_("currency"), max_length=3)
    is_eligible = models.BooleanField(_("earns points"), default=True)

    class Meta:
        verbose_name = _("folio line")
        verbose_name_plural = _("folio lines")
        constraints = [
            models.UniqueConstraint(
                fields=["stay", "line_reference"],
                name="members_folioline_unique",
                violation_error_message=_("This line is on the folio already."),
            ),
            models.CheckConstraint(
                condition=Q(category__in=RevenueCategory.values), name="members_folioline_category_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_reference} {self.net_amount} {self.currency}"
