"""The builder of conditions: redrawn after each of its buttons."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hotels.views import staff_required
from members.forms.conditions import SAFE_NAME, builder_context
from members.rules.conditions.draft import change, draft_from
from members.rules.conditions.fields import target_of


@never_cache
@require_POST
@staff_required()
def condition_builder(request: HttpRequest) -> HttpResponse:
    """Do what a button of the builder asks for; stores nothing.

    The page sends its inputs with the name of the form field (`conditions-name`), what the tree judges
    (`conditions-target`), and the button's `conditions-action` and `conditions-path`.
    """
    name, element_id = (request.POST.get(f"conditions-{part}", "") for part in ("name", "id"))
    target, path = request.POST.get("conditions-target", ""), request.POST.get("conditions-path", "")
    action = request.POST.get("conditions-action", "")
    try:
        target_of(target)
    except LookupError as error:
        raise Http404 from error
    if not SAFE_NAME.fullmatch(name) or not SAFE_NAME.fullmatch(element_id):
        raise Http404
    draft = draft_from(request.POST, name)
    focus = change(draft, action, path, target)
    context = builder_context(
        draft=draft,
        target=target,
        name=name,
        element_id=element_id,
        focus=focus if action in {"add", "add_group", "remove"} else None,
    )
    return render(request, "members/conditions/body.html", context)
