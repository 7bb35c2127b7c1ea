"""Addresses with a form for conditions, as a staff page and as a page of the admin. For tests only."""

import json

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminTextInputWidget

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as real_urlpatterns
from hotels.views import staff_required
from members.forms import ConditionField

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

STAFF_PAGE = """{% extends "base.html" %}
{% block title %}Conditions{% endblock %}
{% block js %}{{ form.media }}{% endblock %}
{% block content %}
  <form method="post" class="sheet" novalidate>{% csrf_token %}
    <div class="sheet-body">
      <h1>Conditions</h1>
      {% include "shell/problems.html" %}
      {% include "shell/field.html" with field=form.title %}
      {% include "shell/field.html" with field=form.conditions %}
    </div>
    <div class="sheet-foot"><button type="submit" class="btn btn-primary">OK</button></div>
  </form>
{% endblock %}"""

ADMIN_PAGE = """{% extends "admin/base_site.html" %}
{% block extrahead %}{{ block.super }}{{ form.media }}{% endblock %}
{% block content %}
  <form method="post" novalidate>{% csrf_token %}
    <div class="border border-base-200 rounded-default p-3">{% for field in form %}{% include "unfold/helpers/field.html" %}{% endfor %}</div>
    <button type="submit">OK</button>
  </form>
{% endblock %}"""


class TitleForm(forms.Form):
    """A form with another field beside the conditions."""

    title = forms.CharField(label="Title", initial="Summer", widget=UnfoldAdminTextInputWidget)
    conditions = ConditionField(target="stay", label="Conditions")


def answer(request: HttpRequest, page: str, context: dict[str, object]) -> HttpResponse:
    form = TitleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        # A page of its own icon, so that the browser asks for none.
        return HttpResponse(format_html('<link rel="icon" href="data:,"><pre>{}</pre>', json.dumps(form.cleaned_data)))
    html = engines["django"].from_string(page).render({**context, "form": form}, request)
    return HttpResponse(html, status=422 if form.is_bound else 200)


@staff_required()
def staff_page(request: HttpRequest) -> HttpResponse:
    return answer(request, STAFF_PAGE, {})


def admin_page(request: HttpRequest) -> HttpResponse:
    return answer(request, ADMIN_PAGE, {**admin.site.each_context(request), "title": "Conditions"})


urlpatterns = [path("try/", staff_page), path("admin/try/", admin.site.admin_view(admin_page)), *real_urlpatterns]
