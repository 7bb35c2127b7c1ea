"""How a form of the desk is shown and how it ends, shared by every app's actions.

A form is a page of its own. Opened from the desk it comes without the shell, into the dialog; when
it has done its work the reader is sent to the guest card, which htmx follows into its place.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from hotels.models import Property, User
from hotels.selectors import current_property
from members.models import Guest

DIALOG_ID = "dialog-body"
GUEST_ID = "guest"


def staff_user(request: HttpRequest) -> User:
    """The signed-in user of a view behind `staff_required`."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def place_of(request: HttpRequest) -> Property:
    """The property the user works at.

    Raises:
        PermissionDenied: No property is assigned to the user.
    """
    place = current_property(request)
    if place is None:
        raise PermissionDenied(_("You are not assigned to any property yet."))
    return place


def guest_or_404(request: HttpRequest, public_id: UUID) -> Guest:
    """The guest of an address if the user may see them, else a 404 that does not tell whether they exist."""
    return get_object_or_404(Guest.objects.visible_to(staff_user(request)), public_id=public_id)


def in_dialog(request: HttpRequest) -> bool:
    """Whether the answer goes into the desk's dialog."""
    return request.headers.get("HX-Target") == DIALOG_ID


def render_sheet(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int | None = None
) -> HttpResponse:
    """Render an action's form: into the dialog, or as a page; a form with errors answers 422."""
    form = context["form"]
    if status is None:
        status = 422 if form.is_bound and form.errors else 200
    layout = "shell/bare.html" if in_dialog(request) else "base.html"
    return render(request, template, {**context, "layout": layout}, status=status)


def back_to_card(request: HttpRequest, guest: Guest, message: str, *, undo: str = "") -> HttpResponse:
    """Say what was done and go to the guest card.

    Args:
        request: The request that did it.
        guest: Whose card.
        message: One sentence.
        undo: Address that takes it back by POST; offered beside the sentence.
    """
    messages.success(request, message, extra_tags=undo)
    return redirect("members:guest", guest.public_id)


def refuse_on_card(request: HttpRequest, guest: Guest, message: str) -> HttpResponse:
    """Say why something without a form of its own could not be done, and go to the guest card."""
    messages.error(request, message)
    return redirect("members:guest", guest.public_id)
