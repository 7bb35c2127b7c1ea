"""Preferences and tags of a guest: added and taken away with an undo."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from hotels.views import staff_required
from members.forms import PreferenceForm, TagForm
from members.models import Preference, Tag
from members.services import preferences
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user

# What was removed last, until it is undone or something else is removed.
REMOVED_SESSION_KEY = "removed_preference"
SOURCE = "desk"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.change_guest")
def add_preference(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Note something about a guest."""
    guest = guest_or_404(request, public_id)
    form = PreferenceForm(request.POST or None, initial={"category": Preference.Category.ROOM})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            preference = preferences.add_preference(
                actor=staff_user(request),
                now=timezone.now(),
                guest_id=guest.pk,
                category=data["category"],
                text=data["text"],
                severity=data["severity"],
                source=SOURCE,
                place=place_of(request),
                key=form.key,
            )
        except preferences.PreferenceError as error:
            form.add_errors({error.field: error.message})
        except preferences.NoteConflict as error:
            form.add_error(None, error.message)
        except preferences.NoteNotFound as error:
            return refuse_on_card(request, guest, error.message)
        else:
            undo = reverse("members:remove_preference", args=[guest.public_id, preference.pk])
            return back_to_card(request, guest, _("Noted: %(text)s") % {"text": preference.text}, undo=f"{undo}?undo=1")
    return render_sheet(request, "members/preference.html", {"form": form, "guest": guest})


@require_POST
@staff_required("members.change_guest")
def remove_preference(request: HttpRequest, public_id: UUID, preference_id: int) -> HttpResponse:
    """Take a note away; the session keeps it for the undo."""
    guest = guest_or_404(request, public_id)
    preference = get_object_or_404(guest.preferences, pk=preference_id)
    is_undo = "undo" in request.GET
    try:
        preferences.remove_preference(
            actor=staff_user(request),
            now=timezone.now(),
            guest_id=guest.pk,
            preference_id=preference.pk,
            place=place_of(request),
            reason="undo" if is_undo else "",
        )
    except preferences.NoteNotFound as error:
        return refuse_on_card(request, guest, error.message)
    request.session[REMOVED_SESSION_KEY] = {
        "guest": str(guest.public_id),
        "category": preference.category,
        "severity": preference.severity,
        "text": preference.text,
        "source": preference.source,
    }
    text = _("Removed: %(text)s") % {"text": preference.text}
    undo = "" if is_undo else reverse("members:restore_preference", args=[guest.public_id])
    return back_to_card(request, guest, text, undo=undo)


@require_POST
@staff_required("members.change_guest")
def restore_preference(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Note again what was taken away last."""
    guest = guest_or_404(request, public_id)
    removed = request.session.pop(REMOVED_SESSION_KEY, None)
    if not removed or removed["guest"] != str(guest.public_id):
        return refuse_on_card(request, guest, _("There is nothing left to undo."))
    preference = preferences.add_preference(
        actor=staff_user(request),
        now=timezone.now(),
        guest_id=guest.pk,
        category=removed["category"],
        text=removed["text"],
        severity=removed["severity"],
        source=removed["source"],
        place=place_of(request),
    )
    return back_to_card(request, guest, _("Restored: %(text)s") % {"text": preference.text})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.change_guest")
def add_tag(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Put a tag on a guest; `?undo` puts back one that was taken away."""
    guest = guest_or_404(request, public_id)
    form = TagForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        tag: Tag = form.cleaned_data["tag"]
        try:
            preferences.add_tag(
                actor=staff_user(request),
                now=timezone.now(),
                guest_id=guest.pk,
                tag_id=tag.pk,
                place=place_of(request),
                key=form.key,
            )
        except preferences.NoteConflict as error:
            form.add_error(None, error.message)
        else:
            undo = reverse("members:remove_tag", args=[guest.public_id, tag.code])
            return back_to_card(request, guest, _("Tagged: %(tag)s") % {"tag": tag.local_name}, undo=f"{undo}?undo=1")
    return render_sheet(request, "members/tag.html", {"form": form, "guest": guest})


@require_POST
@staff_required("members.change_guest")
def remove_tag(request: HttpRequest, public_id: UUID, code: str) -> HttpResponse:
    """Take a tag from a guest."""
    return _change_tag(request, public_id, code, add=False)


@require_POST
@staff_required("members.change_guest")
def restore_tag(request: HttpRequest, public_id: UUID, code: str) -> HttpResponse:
    """Put a tag back that was taken away."""
    return _change_tag(request, public_id, code, add=True)


def _change_tag(request: HttpRequest, public_id: UUID, code: str, *, add: bool) -> HttpResponse:
    guest = guest_or_404(request, public_id)
    tag = Tag.objects.filter(code=code).first()
    if tag is None:
        raise Http404
    change = preferences.add_tag if add else preferences.remove_tag
    change(actor=staff_user(request), now=timezone.now(), guest_id=guest.pk, tag_id=tag.pk, place=place_of(request))
    if add:
        return back_to_card(request, guest, _("Restored: %(text)s") % {"text": tag.local_name})
    undo = "" if "undo" in request.GET else reverse("members:restore_tag", args=[guest.public_id, tag.code])
    return back_to_card(request, guest, _("Removed: %(text)s") % {"text": tag.local_name}, undo=undo)
