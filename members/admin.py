"""Guests, reservations, stays and imports in the admin.

Guests are changed through the same services as at the desk; what other systems send is only read.
"""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, Prefetch, QuerySet
from django.forms import BaseModelFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter

from hotels.admin.base import (
    AuditedAdmin,
    ExportAdminMixin,
    GrowingMixin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ScopedInline,
)
from hotels.models import User
from hotels.resources import EXPORT_FORMATS, SafeResource
from hotels.selectors import current_property
from members.models import (
    Consent,
    FolioLine,
    Guest,
    GuestIdentity,
    GuestMerge,
    GuestTag,
    ImportBatch,
    ImportSource,
    LinkageRun,
    MergeCandidate,
    NotSamePerson,
    Preference,
    Reservation,
    Stay,
    Tag,
)
from members.services.guests import update_guest
from members.services.preferences import add_preference, remove_preference


class GuestForm(forms.ModelForm[Guest]):
    """A guest's profile, with the version it was opened at."""

    expected_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Guest
        fields = ["name", "gender", "birthday", "nationality", "language", "company"]
        labels = {"name": pgettext_lazy("person", "name")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expected_version"].initial = self.instance.version

    def profile_changes(self) -> dict[str, object]:
        """The fields of the profile that the reader changed."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name in self._meta.fields}  # type: ignore[operator]

    def clean(self) -> dict[str, Any] | None:
        """Refuse to overwrite what somebody else changed meanwhile."""
        cleaned = super().clean()
        expected = (cleaned or {}).get("expected_version")
        if expected and Guest.objects.filter(pk=self.instance.pk).exclude(version=expected).exists():
            raise ValidationError(
                _("Somebody else changed this guest after you opened the page. Reload it and change it again."),
                code="stale_record",
            )
        return cleaned


class IdentityInline(ReadOnlyInline):
    """What identifies the guest, masked."""

    model = GuestIdentity
    fields = ["kind", "issuer", "masked", "is_primary", "verified_at"]
    readonly_fields = fields
    ordering = ["kind", "pk"]


class PreferenceInline(ScopedInline):
    """What the guest likes, needs or must not get: noted and taken back, never rewritten."""

    model = Preference
    fields = ["category", "severity", "text", "source", "created_by", "created_at"]
    readonly_fields = ["source", "created_by", "created_at"]
    ordering = ["pk"]
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """For those who may change preferences."""
        return cast("User", request.user).has_perm("members.change_preference")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """For those who may change preferences."""
        return self.has_add_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preference]:
        """With the names of those who noted them."""
        return cast("QuerySet[Preference]", super().get_queryset(request).select_related("created_by"))


class GuestTagInline(ReadOnlyInline):
    """Tags on the guest."""

    model = GuestTag
    fields = ["tag", "created_by", "created_at"]
    readonly_fields = fields
    ordering = ["pk"]
    tab = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[GuestTag]:
        """With tag and author."""
        return cast("QuerySet[GuestTag]", super().get_queryset(request).select_related("tag", "created_by"))


class ConsentInline(ReadOnlyInline):
    """What the guest agreed to, newest last."""

    model = Consent
    fields = ["purpose", "channel", "granted", "text_version", "source", "recorded_at", "recorded_by"]
    readonly_fields = fields
    ordering = ["pk"]
    tab = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Consent]:
        """With the names of those who recorded them."""
        return cast("QuerySet[Consent]", super().get_queryset(request).select_related("recorded_by"))


class GuestResource(SafeResource):
    """Guests as exported: phones and e-mail addresses stay masked."""

    name = fields.Field("name", pgettext_lazy("person", "name"))
    gender = fields.Field("get_gender_display", _("gender"))
    phone = fields.Field(column_name=_("phone"))
    email = fields.Field(column_name=_("e-mail"))
    nationality = fields.Field("nationality", _("nationality"))
    company = fields.Field("company", _("company"))
    last_stay_date = fields.Field("last_stay_date", _("last stay"))

    class Meta:
        model = Guest
        fields = ["name", "gender", "phone", "email", "nationality", "company", "last_stay_date"]
        export_order = fields
        name = _("Guests, masked")

    def _masked(self, guest: Guest, kind: str) -> str:
        return next((i.masked for i in guest.identities.all() if i.kind == kind and i.is_primary), "")

    def dehydrate_phone(self, guest: Guest) -> str:
        """The primary phone, masked."""
        return self._masked(guest, GuestIdentity.Kind.PHONE)

    def dehydrate_email(self, guest: Guest) -> str:
        """The primary e-mail address, masked."""
        return self._masked(guest, GuestIdentity.Kind.EMAIL)


@admin.register(Guest)
class GuestAdmin(ExportAdminMixin, GrowingMixin, AuditedAdmin):
    """Profiles of guests; new ones are made at the desk, by imports and by other systems."""

    form = GuestForm
    resource_classes = [GuestResource]
    formats = EXPORT_FORMATS
    list_display = ["guest_name", "gender", "phone", "alert", "nationality", "company", "last_stay_date"]
    list_filter = ["gender", ("last_stay_date", RangeDateFilter)]
    ordering = ["-id"]
    search_fields = ["name", "name_pinyin"]
    search_help_text = _("Beginning of the name or of its pinyin")
    readonly_fields = ["name_pinyin", "last_stay_date", "created_at", "updated_at"]
    fieldsets = [
        (
            None,
            {"fields": ["name", "gender", "birthday", "nationality", "language", "company", "expected_version"]},
        ),
        (_("Kept by the system"), {"fields": ["name_pinyin", "last_stay_date", "created_at", "updated_at"]}),
    ]
    inlines = [IdentityInline, PreferenceInline, GuestTagInline, ConsentInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Guest]:
        """With primary phone and alerts in two further queries."""
        return cast(
            "QuerySet[Guest]",
            super()
            .get_queryset(request)
            .prefetch_related(
                Prefetch("identities", GuestIdentity.objects.filter(is_primary=True).order_by("pk")),
                Prefetch(
                    "preferences",
                    Preference.objects.filter(severity=Preference.Severity.ALERT).order_by("pk"),
                    to_attr="alerts",
                ),
            ),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Guest], search_term: str
    ) -> tuple[QuerySet[Guest], bool]:
        """By the beginning of the name or of its pinyin, which the indexes serve."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii():
            return queryset.filter(name_pinyin__startswith=term.lower().replace(" ", "")), False
        return queryset.filter(name__startswith=term), False

    @admin.display(description=pgettext_lazy("person", "name"), ordering="name")
    def guest_name(self, guest: Guest) -> str:
        """The guest's name."""
        return guest.name

    @admin.display(description=_("phone"))
    def phone(self, guest: Guest) -> str:
        """The primary phone, masked."""
        return next((i.masked for i in guest.identities.all() if i.kind == GuestIdentity.Kind.PHONE), "—")

    @admin.display(description=_("alert"))
    def alert(self, guest: Guest) -> str:
        """Allergies and medical notes, never cut short."""
        alerts = [f"⚠ {p.text}" for p in cast("list[Preference]", getattr(guest, "alerts", []))]
        return "; ".join(alerts) or "—"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never here: the desk enters identities and consent with the guest."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: stays and points refer to the guest; erasure is a process of its own."""
        return False

    def save_model(self, request: HttpRequest, obj: Guest, form: GuestForm, change: bool) -> None:  # type: ignore[override]
        """Store the profile through the service, which keeps pinyin, version and audit trail."""
        changes = form.profile_changes()
        if changes:
            update_guest(
                actor=cast("User", request.user),
                now=timezone.now(),
                guest_id=obj.pk,
                expected_version=form.cleaned_data["expected_version"] or obj.version,
                changes=changes,
            )

    def save_formset(  # type: ignore[override]
        self, request: HttpRequest, form: GuestForm, formset: BaseModelFormSet[Any, Any], change: bool
    ) -> None:
        """Note and take back preferences through the services, as at the desk."""
        if formset.model is not Preference:
            super().save_formset(request, form, formset, change)
            return
        common: dict[str, Any] = {
            "actor": cast("User", request.user),
            "now": timezone.now(),
            "guest_id": form.instance.pk,
            "place": current_property(request),
        }
        formset.save(commit=False)
        for row in formset.deleted_objects:
            remove_preference(preference_id=row.pk, **common)
        for row in formset.new_objects:
            add_preference(category=row.category, severity=row.severity, text=row.text, source="admin", **common)


@admin.register(Tag)
class TagAdmin(AuditedAdmin):
    """Labels that staff put on guests."""

    list_display = ["code", "name", "name_en"]
    ordering = ["code", "pk"]
    search_fields = ["code", "name", "name_en"]


class VisitAdmin(GrowingMixin, ReadOnlyAdmin):
    """What reservations and stays have in common."""

    place_path = "property"
    list_select_related = ["property", "guest", "room_type"]
    list_filter = ["status", "property", ("arrival_date", RangeDateFilter), ("departure_date", RangeDateFilter)]
    ordering = ["-id"]
    search_fields = ["=source_reference", "guest__name__startswith"]
    search_help_text = _("Number in the source system, or beginning of the guest's name")
    exclude = ["public_id"]


@admin.register(Reservation)
class ReservationAdmin(VisitAdmin):
    """Reservations as other systems sent them."""

    list_display = [
        "source_reference",
        "property",
        "guest",
        "arrival_date",
        "departure_date",
        "room_type",
        "channel",
        "status",
        "amount",
        "currency",
    ]


class FolioLineInline(ReadOnlyInline):
    """The folio of the stay."""

    model = FolioLine
    fields = [
        "line_reference",
        "business_date",
        "category",
        "description",
        "net_amount",
        "tax_amount",
        "currency",
        "is_eligible",
    ]
    readonly_fields = fields
    ordering = ["business_date", "pk"]


class StayResource(SafeResource):
    """Stays as exported."""

    source_reference = fields.Field("source_reference", _("number in the source system"))
    property = fields.Field("property__code", _("property"))
    guest = fields.Field("guest__name", _("guest"))
    arrival_date = fields.Field("arrival_date", _("arrival"))
    departure_date = fields.Field("departure_date", _("departure"))
    room_number = fields.Field("room_number", _("room"))
    channel = fields.Field("channel", _("channel"))
    status = fields.Field("get_status_display", _("status"))
    net_total = fields.Field("net_total", _("net total"))
    currency = fields.Field("currency", _("currency"))

    class Meta:
        model = Stay
        fields = [
            "source_reference",
            "property",
            "guest",
            "arrival_date",
            "departure_date",
            "room_number",
            "channel",
            "status",
            "net_total",
            "currency",
        ]
        export_order = fields
        name = _("Stays")


@admin.register(Stay)
class StayAdmin(ExportAdminMixin, VisitAdmin):
    """Stays with their folios."""

    resource_classes = [StayResource]
    formats = EXPORT_FORMATS
    list_display = [
        "source_reference",
        "property",
        "guest",
        "arrival_date",
        "departure_date",
        "room_number",
        "channel",
        "status",
        "net_total",
        "currency",
    ]
    inlines = [FolioLineInline]


@admin.register(ImportSource)
class ImportSourceAdmin(ReadOnlyAdmin):
    """Where files come from; their columns are remembered on the import page."""

    list_display = ["name", "updated_at"]
    ordering = ["name", "pk"]
    search_fields = ["name"]


@admin.register(ImportBatch)
class ImportBatchAdmin(GrowingMixin, ReadOnlyAdmin):
    """Files of guests that were taken in; the file itself is read on the import page."""

    place_path = "property"
    list_display = [
        "file_name",
        "property",
        "status",
        "row_count",
        "create_count",
        "update_count",
        "unchanged_count",
        "created_at",
    ]
    list_select_related = ["property"]
    list_filter = ["status", "property"]
    ordering = ["-id"]
    search_fields = ["file_name"]
    exclude = ["file", "public_id", "file_sha256", "mapping", "headers", "claimed_until"]


@admin.register(GuestMerge)
class GuestMergeAdmin(GrowingMixin, ReadOnlyAdmin):
    """Profiles that went into another one; undone at the guest's card."""

    list_display = ["merged", "survivor", "merged_at", "actor", "reason", "undone_at"]
    list_select_related = ["merged", "survivor", "actor"]
    ordering = ["-id"]
    exclude = ["public_id"]


@admin.register(MergeCandidate)
class MergeCandidateAdmin(GrowingMixin, ReadOnlyAdmin):
    """Pairs that may be one person; decided on the staff page."""

    list_display = ["first", "second", "weight", "state", "found_at", "decided_by"]
    list_select_related = ["first", "second", "decided_by"]
    list_filter = ["state"]
    ordering = ["-id"]
    exclude = ["public_id"]


@admin.register(NotSamePerson)
class NotSamePersonAdmin(GrowingMixin, ReadOnlyAdmin):
    """Pairs of whom somebody said that they are two people."""

    list_display = ["first", "second", "decided_at", "decided_by"]
    list_select_related = ["first", "second", "decided_by"]
    ordering = ["-id"]


@admin.register(LinkageRun)
class LinkageRunAdmin(GrowingMixin, ReadOnlyAdmin):
    """Searches for duplicates and what they found."""

    list_display = ["requested_at", "state", "guest_count", "merged_count", "review_count", "requested_by"]
    list_select_related = ["requested_by"]
    list_filter = ["state"]
    ordering = ["-id"]
