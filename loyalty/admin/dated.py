"""Rows that hold from a date on: what the forms refuse, and the page “change from a date”."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.forms import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import (
    INPUT_CLASSES,
)

from hotels.admin.base import AuditedAdmin
from hotels.models import User
from loyalty.models import Membership, Programme, TierBenefit, TierCriteria, TierPolicy
from loyalty.services.rules import RuleChangeRefused, check_edit, check_start, has_begun, last_begun_date
from members.rules.conditions import read, sentence

DatedModel = TypeVar("DatedModel", TierCriteria, TierBenefit, TierPolicy)
Dated = TierCriteria | TierBenefit | TierPolicy


def programme_of(row: Dated) -> Programme:
    """The programme whose days count."""
    return row.programme if isinstance(row, TierPolicy) else row.tier.programme


def in_words(tree: Mapping[str, Any], target: str) -> str:
    """Conditions as a sentence, for lists."""
    return capfirst(sentence(read(tree, target)))


class DatedForm(forms.ModelForm[DatedModel], Generic[DatedModel]):
    """Leaves alone what has begun; the reason stands at the field."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse what would change days that have begun."""
        cleaned = super().clean()
        if cleaned is None or not self.has_changed():
            return cleaned
        try:
            self._check(cleaned)
        except RuleChangeRefused as refused:
            self.add_error(
                refused.field if refused.field in self.fields else None,
                ValidationError(str(refused.message), code=refused.code),
            )
        return cleaned

    def _check(self, cleaned: Mapping[str, Any]) -> None:
        now = timezone.now()
        if self.instance.pk is None:
            programme = cleaned.get("programme") or (
                programme_of(self.instance) if getattr(self.instance, "tier_id", None) else None
            )
            if programme is None and getattr(self.instance, "programme_id", None):
                programme = programme_of(self.instance)
            if programme is None and cleaned.get("tier"):
                programme = cleaned["tier"].programme
            # Before the first member joins, a programme is set up with rules that begin in the past.
            if programme is not None and Membership.objects.filter(programme=programme).exists():
                check_start(cleaned.get("effective_from"), today=last_begun_date(programme, now))
            return
        changes = {name: cleaned[name] for name in self.changed_data if name in cleaned and name != "DELETE"}
        check_edit(self.instance, changes, today=last_begun_date(programme_of(self.instance), now))


class DatedFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows of a tier; those that have begun stay."""

    def clean(self) -> None:
        """Refuse to delete what has begun."""
        super().clean()
        for form in self.deleted_forms:
            row = form.instance
            if row.pk and has_begun(row, last_begun_date(programme_of(row), timezone.now())):
                raise ValidationError(
                    _("%(row)s is in force since %(date)s and cannot be deleted; set an end instead."),
                    code="in_force",
                    params={"row": row, "date": row.effective_from},
                )


class ChangeFromForm(forms.Form):
    """From when on something else is given; each page adds what."""

    effective_from = forms.DateField(
        label=_("from date"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label)


class DatedAdmin(AuditedAdmin):
    """A page whose rows are changed from a date on once they are in force."""

    actions_detail = ["change_from"]
    change_from_form: ClassVar[type[ChangeFromForm]] = ChangeFromForm
    change_from_fields: ClassVar[tuple[str, ...]] = ()

    def get_change_from_form(self, request: HttpRequest) -> type[ChangeFromForm]:
        """The form of “change from a date”: when, and the fields of the page that it names, unless it has its own."""
        if self.change_from_form is not ChangeFromForm:
            return self.change_from_form
        # As on the page itself: with the fields' widgets, help and validation.
        fields = self.get_form(request, change=False).base_fields
        chosen = {name: fields[name] for name in self.change_from_fields if name in fields}
        return type("ChangeFrom", (ChangeFromForm,), chosen)

    def apply(self, request: HttpRequest, row: Any, values: dict[str, Any]) -> models.Model:
        """Call the service that makes the successor."""
        raise NotImplementedError

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Only what has not begun: what was in force is history."""
        allowed = super().has_delete_permission(request, obj)
        if allowed and isinstance(obj, Dated):
            return not has_begun(obj, last_begun_date(programme_of(obj), timezone.now()))
        return allowed

    def has_change_from_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for any other change."""
        return self.has_change_permission(request)

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={"in_force": "success", "future": "info", "ended": "default"},
    )
    def state(self, row: Dated) -> tuple[str, str]:
        """In force, still to come, or over; by the day where the reader is."""
        today = timezone.localdate()
        until = getattr(row, "effective_until", None)
        if row.effective_from > today:
            return "future", str(_("to come"))
        if until is not None and until <= today:
            return "ended", str(_("ended"))
        return "in_force", str(_("in force"))

    @action(  # type: ignore[untyped-decorator]
        description=_("Change from a date"), url_path="change-from", permissions=["change_from"], icon="event"
    )
    def change_from(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what is to be given from when on, and let it begin."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        initial = {name: getattr(row, name) for name in self.change_from_fields}
        form = self.get_change_from_form(request)(request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            try:
                successor = self.apply(request, row, values)
            except RuleChangeRefused as refused:
                form.add_error(refused.field if refused.field in form.fields else None, str(refused.message))
            else:
                messages.success(
                    request,
                    _("“%(row)s” begins on %(date)s; until then everything stays as it is.")
                    % {"row": successor, "date": values["effective_from"]},
                )
                opts = self.model._meta
                return HttpResponseRedirect(
                    reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[successor.pk])
                )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Change from a date"),
            "opts": self.model._meta,
            "original": row,
            "form": form,
            "summary": _(
                "The row in force keeps what it gives and ends on the date you choose; its successor begins on that date."
                " Stays of earlier dates keep being judged by the old row, even when they are posted late."
            ),
            "submit": _("Let it begin on that date"),
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/loyalty/ask.html", context, status=status)


def change_from_link(row: Dated) -> str:
    """A link to “change from a date” of a stored row."""
    if not row.pk:
        return ""
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change_from", args=[row.pk])
    return format_html("<a class='text-primary-600' href='{}'>{}</a>", url, _("Change from a date"))


def actor_of(request: HttpRequest) -> User:
    """The signed-in manager."""
    return cast("User", request.user)
