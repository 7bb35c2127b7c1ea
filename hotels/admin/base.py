"""What every page of the admin shares: rights by role and property, and the audit trail."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import get_permission_codename
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import BaseModelFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from import_export.admin import ExportMixin
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.import_export.forms import ExportForm
from unfold.paginator import InfinitePaginator

from hotels.models import Property, User
from hotels.services.audit import record_audit

# Never copied into the audit trail: passwords, digests of tokens, secrets of second factors.
SECRET_FIELDS = frozenset({"password", "digest", "data"})


def json_value(value: object) -> object:
    """A field's value as it stands in the audit trail: JSON-ready, references by primary key."""
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, dt.date | dt.time | Decimal | uuid.UUID):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return str(value)


def snapshot(record: models.Model) -> dict[str, object]:
    """All stored fields of a record, JSON-ready, without passwords and ciphertext."""
    return {
        field.name: json_value(field.value_from_object(record))
        for field in record._meta.concrete_fields
        if not isinstance(field, models.BinaryField) and field.name not in SECRET_FIELDS
    }


class ScopedMixin:
    """Rights by role at the record's property; lists hold only what the user may see.

    Attributes:
        place_path: Lookup from the model to its property; empty for records of the whole group.
    """

    place_path: ClassVar[str] = ""
    model: type[models.Model]
    opts: Any

    def place_of(self, obj: models.Model | None) -> Property | None:
        """The property whose roles decide about a record; None when the whole group's do."""
        if isinstance(obj, Property):
            return obj
        place: Any = obj
        for step in self.place_path.split("__") if self.place_path else ():
            place = getattr(place, step, None)
        return place if isinstance(place, Property) else None

    def _allows(self, request: HttpRequest, action: str, obj: models.Model | None) -> bool:
        permission = f"{self.opts.app_label}.{get_permission_codename(action, self.opts)}"
        return cast("User", request.user).has_perm(permission, self.place_of(obj))

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Whether the user may see the record, or any if none is given."""
        return self._allows(request, "view", obj) or self._allows(request, "change", obj)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Whether the user may add a record (an inline's: to the given parent)."""
        return self._allows(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Whether the user may change the record, or any if none is given."""
        return self._allows(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Whether the user may delete the record, or any if none is given."""
        return self._allows(request, "delete", obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the app shows up at all."""
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The records inside the user's properties."""
        records = super().get_queryset(request)  # type: ignore[misc]
        user = cast("User", request.user)
        if hasattr(records, "visible_to"):
            return cast("QuerySet[Any]", records.visible_to(user))
        if self.place_path and not user.is_superuser:
            records = records.filter(**{f"{self.place_path}__in": Property.objects.visible_to(user)})
        return cast("QuerySet[Any]", records)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer only properties, and records of properties, that the user works for."""
        user = cast("User", request.user)
        remote = db_field.remote_field.model
        if "queryset" not in kwargs:
            if remote is Property:
                kwargs["queryset"] = Property.objects.visible_to(user).order_by("code")
            elif any(f.name == "property" for f in remote._meta.fields):
                kwargs["queryset"] = remote._default_manager.filter(
                    property__in=Property.objects.visible_to(user)
                ).order_by("property__code", "pk")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class AuditedAdmin(ScopedMixin, ModelAdmin):  # type: ignore[misc]
    """A page of the admin that writes every change, with the values before and after, to the audit trail."""

    list_per_page = 20
    show_full_result_count = False
    list_filter_submit = True
    warn_unsaved_form = True

    def audit(
        self,
        request: HttpRequest,
        obj: models.Model,
        verb: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        """Write one entry, in the transaction of the page."""
        record_audit(
            actor=cast("User", request.user),
            now=timezone.now(),
            action=f"{obj._meta.model_name}.{verb}",
            target=obj,
            label=str(obj),
            place=self._audit_place(obj),
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
        )

    def _audit_place(self, obj: models.Model) -> Property | None:
        if isinstance(obj, Property):
            return obj
        place = getattr(obj, "property", None)
        return place if isinstance(place, Property) else self.place_of(obj) if isinstance(obj, self.model) else None

    def _audit_form(self, request: HttpRequest, obj: models.Model, form: forms.ModelForm[Any], *, change: bool) -> None:
        if not change:
            self.audit(request, obj, "added", after=snapshot(obj))
            return
        names = [name for name in form.changed_data if "password" not in name]
        before = {name: json_value(form.initial.get(name)) for name in names}
        after = {name: json_value(form.cleaned_data.get(name)) for name in names}
        if before != after:
            self.audit(request, obj, "changed", before=before, after=after)

    def save_model(self, request: HttpRequest, obj: models.Model, form: forms.ModelForm[Any], change: bool) -> None:
        """Store the record and its audit entry."""
        super().save_model(request, obj, form, change)
        self._audit_form(request, obj, form, change=change)

    def save_formset(
        self,
        request: HttpRequest,
        form: forms.ModelForm[Any],
        formset: BaseModelFormSet[Any, Any],
        change: bool,
    ) -> None:
        """Store the rows of an inline and an audit entry for each row that changed."""
        gone = [(row.instance, snapshot(row.instance)) for row in formset.initial_forms if row in formset.deleted_forms]
        super().save_formset(request, form, formset, change)
        for row in formset.forms:
            if row in formset.deleted_forms or not row.has_changed():
                continue
            self._audit_form(request, row.instance, row, change=row in formset.initial_forms)
        for obj, values in gone:
            obj.pk = values[obj._meta.pk.name]
            self.audit(request, obj, "deleted", before=values)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Delete the record and keep what it was."""
        self.audit(request, obj, "deleted", before=snapshot(obj))
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the chosen records and keep what they were."""
        for obj in queryset:
            self.audit(request, obj, "deleted", before=snapshot(obj))
        super().delete_queryset(request, queryset)


class GrowingMixin:
    """A list that grows with the guests: never counted, paged by next and previous."""

    paginator = InfinitePaginator
    list_per_page = 20
    show_full_result_count = False


class ReadOnlyMixin:
    """Shows records that only services, jobs and other systems write."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False


class ReadOnlyAdmin(ReadOnlyMixin, ScopedMixin, ModelAdmin):  # type: ignore[misc]
    """A list and a page to read."""

    list_per_page = 20
    show_full_result_count = False
    list_filter_submit = True
    actions = None


class ScopedInline(ScopedMixin, TabularInline):  # type: ignore[misc]
    """Rows inside the page of their parent; rights as at the parent's property."""

    extra = 0
    show_change_link = False

    def place_of(self, obj: models.Model | None) -> Property | None:
        """The parent's property."""
        if isinstance(obj, Property):
            return obj
        place = getattr(obj, "property", None)
        return place if isinstance(place, Property) else None


class ReadOnlyInline(ReadOnlyMixin, ScopedInline):
    """Rows to read inside the page of their parent."""

    can_delete = False
    max_num = 0


class ExportAdminMixin(ExportMixin):  # type: ignore[misc]
    """CSV and XLSX of the list as filtered, for those who may export guests; each export is audited."""

    export_form_class = ExportForm
    # Written in the request, so a list that would take minutes is refused.
    export_limit = 50_000

    def export_action(self, request: HttpRequest) -> HttpResponse:
        """Ask for the format and answer with the file, unless the list is too long for a request."""
        if request.method == "POST" and self.has_export_permission(request):
            rows = self.get_export_queryset(request)[: self.export_limit + 1].count()
            if rows > self.export_limit:
                self.message_user(
                    request,
                    _("More than %(limit)s rows: filter the list first.") % {"limit": f"{self.export_limit:,}"},
                    messages.ERROR,
                )
                return redirect(f"{request.path.removesuffix('export/')}?{request.GET.urlencode()}")
        return cast("HttpResponse", super().export_action(request))

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whether the user may take data out of the house."""
        return cast("User", request.user).has_perm("members.export_guests")

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Iterable[Any], **kwargs: Any) -> Any:
        """The file, after noting who took how much of what in which format."""
        data = super().get_export_data(file_format, request, queryset, **kwargs)
        opts = self.model._meta
        record_audit(
            actor=cast("User", request.user),
            now=timezone.now(),
            action=f"{opts.model_name}.exported",
            object_type=opts.label_lower,
            object_id="*",
            label=str(opts.verbose_name_plural),
            after={
                "format": file_format.get_title(),
                "filter": request.GET.urlencode(),
                "rows": cast("QuerySet[Any]", queryset).count(),
            },
        )
        return data
