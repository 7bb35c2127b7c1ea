"""Pages of the admin that ask for something, then act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

TEMPLATE = "admin/loyalty/ask.html"


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label=_("reason"), max_length=200, widget=UnfoldAdminTextInputWidget)


def ask(
    page: Any,
    request: HttpRequest,
    row: models.Model,
    *,
    title: Any,
    form: forms.Form,
    act: Callable[[dict[str, Any]], object],
    refusals: tuple[type[Exception], ...],
    context: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """Show the form; once it is valid, act and go to the page of the row.

    Args:
        page: The admin.
        request: The request; the form is bound where it is a POST.
        row: What is acted on.
        title: Of the page.
        form: What is asked.
        act: Gets the answers; of `refusals` it raises what the form shows.
        refusals: Named failures of the service.
        context: `summary`, text above the form, and `submit`, words of the button.
    """
    if request.method == "POST" and form.is_valid():
        try:
            act(form.cleaned_data)
        except refusals as refused:
            form.add_error(list(form.fields)[-1], str(refused))
        else:
            messages.success(request, _("Done."))
            opts = row._meta
            return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]))
    shown = {
        **page.admin_site.each_context(request),
        "title": title,
        "opts": row._meta,
        "original": row,
        "form": form,
        **(context or {}),
    }
    return TemplateResponse(request, TEMPLATE, shown, status=422 if form.errors else 200)
