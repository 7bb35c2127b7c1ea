"""Versions of the earning rules in the admin: their rules as sentences, drafts to edit, and their life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import INPUT_CLASSES, UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from hotels.admin.base import AuditedAdmin, GrowingMixin, ReadOnlyAdmin
from loyalty.admin.backtests import BackTestForm, back_test_page, start_back_test
from loyalty.admin.dated import actor_of
from loyalty.admin.simulate import simulate_page
from loyalty.models import BackTest, EarningRule, EarningRuleSet, RuleUse
from loyalty.selectors.findings import findings_of_rules
from loyalty.selectors.rule_books import target_of
from loyalty.selectors.rule_words import rule_in_words, rules_in_words
from loyalty.services.rules import (
    InvalidRule,
    RuleChangeRefused,
    check_rule,
    create_draft,
    delete_rule,
    discard_draft,
    publish_rule_set,
    rename_draft,
    save_rule,
    withdraw_rule_set,
)
from members.forms import ConditionField
from members.models import RevenueCategory
from members.rules.conditions.fields import WEEKDAYS

Status = EarningRuleSet.Status


class NewDraftForm(forms.Form):
    """What a new version is called."""

    name = forms.CharField(label=_("Name"), max_length=120, required=False, widget=UnfoldAdminTextInputWidget)


class PublishForm(forms.Form):
    """From when on a version is in force."""

    effective_from = forms.DateField(
        label=_("From date"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}),
    )


class ReasonForm(forms.Form):
    """Why a version is taken back."""

    reason = forms.CharField(label=_("Reason"), max_length=300, widget=UnfoldAdminTextInputWidget)


class SureForm(forms.Form):
    """Nothing to fill in."""


@admin.register(EarningRuleSet)
class EarningRuleSetAdmin(AuditedAdmin):
    """Versions: each with its rules as sentences, and what can be done with it."""

    change_form_outer_before_template = "admin/loyalty/rules_of_set.html"
    list_display = ["version", "state", "programme", "effective_from", "rule_count", "published_by"]
    list_select_related = ["programme", "published_by"]
    list_filter = ["programme", "status"]
    ordering = ["programme", "-number", "pk"]
    search_fields = ["name", "note"]
    compressed_fields = True
    actions_detail = ["simulate", "make_draft", "back_test", "publish", "withdraw", "discard"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EarningRuleSet]:
        """With the number of rules, and whether a newer version is in force."""
        newer = EarningRuleSet.objects.published().filter(
            programme=OuterRef("programme"),
            effective_from__gt=OuterRef("effective_from"),
            effective_from__lte=timezone.localdate(),
        )
        rule_sets = super().get_queryset(request).annotate(rule_total=Count("rules"), is_superseded=Exists(newer))
        return cast("QuerySet[EarningRuleSet]", rule_sets)

    @admin.display(description=_("version"), ordering="number")
    def version(self, rule_set: EarningRuleSet) -> str:
        """Number and name."""
        return str(rule_set)

    @admin.display(description=_("rules"))
    def rule_count(self, rule_set: Any) -> int:
        """How many rules it has."""
        return cast("int", rule_set.rule_total)

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={"in_force": "success", "future": "info", "draft": "warning", "past": "default", "withdrawn": "danger"},
    )
    def state(self, rule_set: EarningRuleSet) -> tuple[str, str]:
        """Draft, to come, in force, superseded or withdrawn; by the day where the reader is."""
        if rule_set.status == Status.DRAFT:
            return "draft", str(_("draft"))
        if rule_set.status == Status.WITHDRAWN:
            return "withdrawn", str(_("withdrawn"))
        if rule_set.effective_from and rule_set.effective_from > timezone.localdate():
            return "future", str(_("to come"))
        if getattr(rule_set, "is_superseded", False):
            return "past", str(_("superseded"))
        return "in_force", str(_("in force"))

    @admin.display(description=_("state"))
    def now(self, rule_set: EarningRuleSet) -> str:
        """The state in a word."""
        return cast("str", self.state(rule_set)[1])

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A note of a line or two."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "note":
            field.widget.attrs["rows"] = 2
        return field

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """What is asked of a new version, and told of a known one."""
        if obj is None:
            return [(None, {"fields": ["programme", "name"]})]
        fields = ["programme", "name", "note", "now", "effective_from", "based_on", "published_at", "published_by"]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Only name and note of a draft are free; the rest follows from what is done with it."""
        if obj is None:
            return []
        fixed = ["programme", "now", "effective_from", "based_on", "published_at", "published_by"]
        return fixed if cast("EarningRuleSet", obj).is_draft else [*fixed, "name", "note"]

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Only drafts; a published version stays as it is."""
        is_open = obj is None or cast("EarningRuleSet", obj).is_draft
        return is_open and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never: a draft is discarded, a version to come withdrawn."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Begin a draft, or give it another name."""
        now = timezone.now()
        if change:
            rename_draft(actor=actor_of(request), now=now, rule_set_id=obj.pk, name=obj.name, note=obj.note)
            return
        draft = create_draft(actor=actor_of(request), now=now, programme=obj.programme, name=obj.name)
        obj.pk, obj.number, obj.created_at, obj.based_on = draft.pk, draft.number, draft.created_at, draft.based_on

    def response_add(
        self, request: HttpRequest, obj: models.Model, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go on to the draft's rules."""
        return HttpResponseRedirect(_url(obj))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """With the rules as sentences."""
        more = dict(extra_context or {})
        rule_set = self.get_object(request, object_id) if object_id else None
        if rule_set is not None:
            more["findings"] = findings_of_rules(rule_set, today=timezone.localdate())
            rules = rule_set.rules.select_related("funded_by").order_by("-priority", "code", "pk")
            may_edit = rule_set.is_draft and super().has_change_permission(request)
            more["rule_rows"] = [
                {"rule": rule, "words": words, "url": _url(rule)}
                for rule, words in rules_in_words(rules, programme=rule_set.programme)
            ]
            more["add_rule_url"] = (
                f"{reverse('admin:loyalty_earningrule_add')}?rule_set={rule_set.pk}" if may_edit else ""
            )
        return super().changeform_view(request, object_id, form_url, more)

    # What may be done depends on the state of the version.

    def _state_of(self, object_id: str | int | None) -> str:
        rule_set = EarningRuleSet.objects.filter(pk=object_id).first() if object_id else None
        if rule_set is None:
            return ""
        return cast("str", self.state(rule_set)[0])

    def has_draft_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Whoever may change rules may draft from any version."""
        return super().has_add_permission(request)

    def has_read_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Whoever may see versions sees their back-tests."""
        return bool(self.has_view_permission(request)) and object_id is not None

    def has_open_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Of a draft, for those who may change rules."""
        return super().has_change_permission(request) and self._state_of(object_id) == "draft"

    def has_look_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Of any version, for those who may see rules."""
        return super().has_view_permission(request)

    def has_future_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Of a version to come, for those who may change rules."""
        return super().has_change_permission(request) and self._state_of(object_id) == "future"

    def _step(
        self,
        request: HttpRequest,
        object_id: str,
        form_class: type[forms.Form],
        words: dict[str, Any],
        carry_out: Callable[[EarningRuleSet, dict[str, Any]], tuple[str, str]],
    ) -> HttpResponse:
        """Ask, then do it; a refusal stands at its field."""
        rule_set = self.get_object(request, object_id)
        if rule_set is None:
            raise Http404
        if not super().has_change_permission(request):
            raise PermissionDenied
        form = form_class(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                url, told = carry_out(rule_set, form.cleaned_data)
            except RuleChangeRefused as refused:
                form.add_error(refused.field if refused.field in form.fields else None, str(refused.message))
            except InvalidRule as invalid:
                for problem in invalid.problems:
                    form.add_error(None, f"{problem.rule}: {problem.message}")
            else:
                messages.success(request, told)
                return HttpResponseRedirect(url)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "original": rule_set,
            "form": form,
            **words,
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/loyalty/rule_set_step.html", context, status=status)

    @action(  # type: ignore[untyped-decorator]
        description=_("Try a stay"), url_path="simulate", permissions=["look"], icon="science"
    )
    def simulate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What each rule would do with a stay."""
        rule_set = self.get_object(request, object_id)
        if rule_set is None:
            raise Http404
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        return simulate_page(request, cast("EarningRuleSet", rule_set), context)

    @action(  # type: ignore[untyped-decorator]
        description=_("Create draft"), url_path="draft", permissions=["draft"], icon="content_copy"
    )
    def make_draft(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Begin a new version with the rules of this one."""

        def carry_out(rule_set: EarningRuleSet, values: dict[str, Any]) -> tuple[str, str]:
            draft = create_draft(
                actor=actor_of(request),
                now=timezone.now(),
                programme=rule_set.programme,
                based_on=rule_set,
                name=values["name"],
            )
            return _url(draft), _("“%(version)s” is a draft; nothing changes until it is published.") % {
                "version": draft
            }

        words = {
            "title": _("Create draft"),
            "lead": _("A new version with the rules of this one. It can be changed freely until it is published."),
            "button": _("Create draft"),
        }
        return self._step(request, object_id, NewDraftForm, words, carry_out)

    @action(  # type: ignore[untyped-decorator]
        description=_("Back-test"), url_path="back-test", permissions=["read"], icon="query_stats"
    )
    def back_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the version would have given: the newest back-test, or the start of one."""
        rule_set = self.get_object(request, object_id)
        if rule_set is None:
            raise Http404
        if request.method != "POST":
            newest = BackTest.objects.filter(rule_set=rule_set).order_by("-pk").first()
            if newest is not None:
                return HttpResponseRedirect(_url(newest))
            return back_test_page(self.admin_site, request, rule_set, None)
        if not super().has_change_permission(request):
            raise PermissionDenied
        form = BackTestForm(request.POST)
        if not form.is_valid():
            return back_test_page(self.admin_site, request, rule_set, None, form)
        return HttpResponseRedirect(start_back_test(request, rule_set, form.cleaned_data["months"]))

    @action(  # type: ignore[untyped-decorator]
        description=_("Publish from a date"), url_path="publish", permissions=["open"], icon="event_available"
    )
    def publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let a draft begin, once what should be read once more has been shown."""

        def carry_out(rule_set: EarningRuleSet, values: dict[str, Any]) -> tuple[str, str]:
            published = publish_rule_set(
                actor=actor_of(request),
                now=timezone.now(),
                rule_set_id=rule_set.pk,
                from_date=values["effective_from"],
            )
            return _url(published), _("“%(row)s” begins on %(date)s; until then everything stays as it is.") % {
                "row": published,
                "date": published.effective_from,
            }

        words: dict[str, Any] = {
            "title": _("Publish from a date"),
            "lead": _(
                "Stays and events from this date on are judged by this version, those before it by the version of"
                " their date, even when they are posted or corrected late. A published version is not changed any more."
            ),
            "button": _("Publish"),
        }
        draft = self.get_object(request, object_id)
        if draft is not None:
            words["findings"] = findings_of_rules(draft, today=timezone.localdate())
        return self._step(request, object_id, PublishForm, words, carry_out)

    @action(  # type: ignore[untyped-decorator]
        description=_("Withdraw"), url_path="withdraw", permissions=["future"], icon="undo"
    )
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a version back before it begins."""

        def carry_out(rule_set: EarningRuleSet, values: dict[str, Any]) -> tuple[str, str]:
            gone = withdraw_rule_set(
                actor=actor_of(request), now=timezone.now(), rule_set_id=rule_set.pk, reason=values["reason"]
            )
            return _url(gone), _("“%(version)s” is withdrawn; the version before it stays in force.") % {
                "version": gone
            }

        words = {
            "title": _("Withdraw"),
            "lead": _("The version will not begin; the one before it stays in force."),
            "button": _("Withdraw"),
        }
        return self._step(request, object_id, ReasonForm, words, carry_out)

    @action(  # type: ignore[untyped-decorator]
        description=_("Discard draft"), url_path="discard", permissions=["open"], icon="delete"
    )
    def discard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Delete a draft with its rules."""

        def carry_out(rule_set: EarningRuleSet, _values: dict[str, Any]) -> tuple[str, str]:
            told = _("“%(version)s” is discarded.") % {"version": rule_set}
            discard_draft(actor=actor_of(request), now=timezone.now(), rule_set_id=rule_set.pk)
            return reverse("admin:loyalty_earningruleset_changelist"), told

        words = {
            "title": _("Discard draft"),
            "lead": _("The draft and its rules are deleted; the audit trail keeps what they were."),
            "button": _("Discard draft"),
        }
        return self._step(request, object_id, SureForm, words, carry_out)


def _url(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


class EarningRuleForm(forms.ModelForm[EarningRule]):
    """A rule of a draft; what it cannot mean is refused at its field."""

    categories = forms.MultipleChoiceField(
        label=_("Revenue categories"),
        choices=RevenueCategory.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Empty: all of them."),
    )
    charge_weekdays = forms.TypedMultipleChoiceField(
        label=_("Days of the week"),
        choices=WEEKDAYS,
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Of the charge or the night. Empty: all of them."),
    )

    class Meta:
        model = EarningRule
        fields = [
            "rule_set",
            "code",
            "name",
            "name_en",
            "basis",
            "event",
            "result",
            "value",
            "categories",
            "currency",
            "condition",
            "charges_from",
            "charges_until",
            "charge_weekdays",
            "is_base",
            "is_qualifying",
            "priority",
            "stacking",
            "group",
            "stops",
            "cap_stay",
            "cap_day",
            "cap_month",
            "cap_member",
            "budget_points",
            "budget_money",
            "point_cost",
            "funded_by",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "rule_set" in self.fields:
            drafts = EarningRuleSet.objects.filter(status=Status.DRAFT).order_by("programme", "number")
            cast("forms.ModelChoiceField[EarningRuleSet]", self.fields["rule_set"]).queryset = drafts
        if "condition" in self.fields:
            # A guest for an event, else a stay; what was sent counts, so that the reason is given for it.
            basis = self.data.get(self.add_prefix("basis")) or self.instance.basis
            self.fields["condition"] = ConditionField(
                target=target_of(EarningRule(basis=basis)), label=_("Condition"), required=False
            )

    def validate_constraints(self) -> None:
        """Nothing: `check_rule` tells the same, at the field."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        value: Any = self.instance.value
        if not self.instance.rule_set_id or value is None:
            return
        others = EarningRule.objects.filter(rule_set=self.instance.rule_set_id).exclude(pk=self.instance.pk)
        for problem in check_rule(self.instance, others):
            field = problem.field if problem.field in self.fields else None
            if field is None or field not in self.errors:
                self.add_error(field, ValidationError(problem.message, code=problem.code))


@admin.register(EarningRule)
class EarningRuleAdmin(AuditedAdmin):
    """Rules of all versions; those of a draft can be edited."""

    form = EarningRuleForm
    list_display = ["code", "name", "name_en", "rule_set", "basis", "result", "value", "priority", "stacking"]
    list_select_related = ["rule_set__programme"]
    list_filter = ["rule_set__programme", "rule_set__status", "basis", "result", "stacking"]
    ordering = ["-rule_set__number", "-priority", "code", "pk"]
    search_fields = ["code", "name", "name_en"]
    compressed_fields = True
    fieldsets = [
        (None, {"fields": ["rule_set", "in_words", "code", "name", "name_en"]}),
        (_("What it gives"), {"fields": ["basis", "event", "result", "value", "currency", "is_base", "is_qualifying"]}),
        (
            _("What for"),
            {"fields": ["condition", "categories", "charge_weekdays", "charges_from", "charges_until"]},
        ),
        (_("Together with others"), {"fields": ["priority", "stacking", "group", "stops"]}),
        (
            _("Limits"),
            {
                "fields": [
                    "cap_stay",
                    "cap_day",
                    "cap_month",
                    "cap_member",
                    "budget_points",
                    "budget_money",
                    "point_cost",
                    "funded_by",
                ]
            },
        ),
    ]

    @admin.display(description=_("in words"))
    def in_words(self, rule: EarningRule) -> str:
        """The rule as a sentence, and the way to its version."""
        if not rule.pk:
            return "–"
        words = rule_in_words(rule, programme=rule.rule_set.programme)
        return format_html(
            "{}<br><a class='text-primary-600' href='{}'>{}</a>",
            words,
            _url(rule.rule_set),
            _("All rules of %(version)s") % {"version": rule.rule_set},
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[EarningRule]:
        """With version, programme and who pays."""
        return super().get_queryset(request).select_related("rule_set__programme", "funded_by")

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """The version of a stored rule stays, and so does its code: caps count by it."""
        return ["in_words", "rule_set", "code"] if obj else ["in_words"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The draft that the page was opened from."""
        return {"rule_set": request.GET.get("rule_set", "")}

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Only in a draft."""
        is_open = obj is None or cast("EarningRule", obj).rule_set.is_draft
        return is_open and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Only in a draft."""
        is_open = obj is None or cast("EarningRule", obj).rule_set.is_draft
        return is_open and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store it by the service, which checks it again under the lock and audits it."""
        save_rule(actor=actor_of(request), now=timezone.now(), rule=obj)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Take it out of the draft."""
        delete_rule(actor=actor_of(request), now=timezone.now(), rule_id=obj.pk)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No deletion of many at once: most of them belong to published versions."""
        return {}

    def response_add(
        self, request: HttpRequest, obj: models.Model, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Back to the draft, unless another rule follows."""
        if "_addanother" in request.POST or "_continue" in request.POST:
            return cast("HttpResponse", super().response_add(request, obj, post_url_continue))
        return self._back_to_draft(request, cast("EarningRule", obj))

    def response_change(self, request: HttpRequest, obj: models.Model) -> HttpResponse:
        """Back to the draft, unless editing goes on."""
        if "_addanother" in request.POST or "_continue" in request.POST:
            return cast("HttpResponse", super().response_change(request, obj))
        return self._back_to_draft(request, cast("EarningRule", obj))

    def _back_to_draft(self, request: HttpRequest, rule: EarningRule) -> HttpResponse:
        messages.success(
            request, _("Saved: %(rule)s") % {"rule": rule_in_words(rule, programme=rule.rule_set.programme)}
        )
        return HttpResponseRedirect(_url(rule.rule_set))


@admin.register(RuleUse)
class RuleUseAdmin(GrowingMixin, ReadOnlyAdmin):
    """How much of a cap or budget is used."""

    list_display = ["rule_code", "scope", "membership", "period", "used", "cap", "programme"]
    list_select_related = ["membership", "programme"]
    list_filter = ["programme", "scope"]
    ordering = ["-pk"]
    search_fields = ["rule_code__exact"]
