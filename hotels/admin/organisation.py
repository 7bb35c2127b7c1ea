"""Group, brands, properties with departments and room types, exchange rates."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hotels.admin.base import AuditedAdmin, ScopedInline
from hotels.models import Brand, Department, ExchangeRate, HotelGroup, Property, RoomType


@admin.register(HotelGroup)
class HotelGroupAdmin(AuditedAdmin):
    """The group whose name stands on every page; there is one."""

    list_display = ["name", "name_en", "phone"]
    ordering = ["pk"]
    search_fields = ["name", "name_en"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only while there is none: one installation serves one group."""
        return super().has_add_permission(request, obj) and not HotelGroup.objects.exists()


@admin.register(Brand)
class BrandAdmin(AuditedAdmin):
    """Brands of the group."""

    list_display = ["code", "name", "name_en", "group"]
    list_select_related = ["group"]
    ordering = ["code", "pk"]
    search_fields = ["code", "name", "name_en"]


class DepartmentInline(ScopedInline):
    """Departments of the property."""

    model = Department
    fields = ["code", "name", "name_en"]
    tab = True


class RoomTypeInline(ScopedInline):
    """Room types of the property."""

    model = RoomType
    fields = ["code", "name", "name_en"]
    tab = True


@admin.register(Property)
class PropertyAdmin(AuditedAdmin):
    """The hotels of the group."""

    list_display = ["code", "name", "name_en", "brand", "city", "country", "time_zone", "currency", "is_active"]
    list_select_related = ["brand__group"]
    list_filter = ["brand", "country", "is_active"]
    ordering = ["code", "pk"]
    search_fields = ["code", "name", "name_en", "city"]
    inlines = [DepartmentInline, RoomTypeInline]
    fieldsets = [
        (None, {"fields": ["code", "brand", "name", "name_en", "is_active"]}),
        (_("Place and money"), {"fields": ["city", "country", "time_zone", "currency"]}),
    ]


class OfProperty(AuditedAdmin):
    """A list of what belongs to one property each."""

    place_path = "property"
    list_display = ["code", "name", "name_en", "property"]
    list_select_related = ["property__brand"]
    list_filter = ["property"]
    ordering = ["property__code", "code", "pk"]
    search_fields = ["code", "name", "name_en"]


@admin.register(Department)
class DepartmentAdmin(OfProperty):
    """Departments, which own tickets."""


@admin.register(RoomType)
class RoomTypeAdmin(OfProperty):
    """Room types that properties sell."""


@admin.register(ExchangeRate)
class ExchangeRateAdmin(AuditedAdmin):
    """Exchange rates, each from a date on."""

    list_display = ["currency", "to_currency", "effective_from", "rate"]
    list_filter = ["currency", "to_currency"]
    ordering = ["currency", "to_currency", "-effective_from", "pk"]
    search_fields = ["currency", "to_currency"]
