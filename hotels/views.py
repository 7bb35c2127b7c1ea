"""Staff pages of the organisation, and the guard every staff page stands behind."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlsplit
from uuid import UUID

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language as django_set_language

from hotels.forms import ProfileForm
from hotels.models import User
from hotels.selectors import SESSION_KEY, current_property, visible_properties
from hotels.services.drafts import DraftRefused, discard_draft, save_draft

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def safe_path(request: HttpRequest, url: str | None) -> str:
    """The path and query of a URL of this site; empty when it points anywhere else."""
    if not url or not url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return ""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def login_redirect(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the login page, and from there back to the page the reader sees now.

    A form that was posted, or a fragment that htmx asked for, has no page of its own: the page
    around it is taken from `HX-Current-URL` or `Referer`, if it is one of ours.
    """
    if request.headers.get("HX-Request") == "true":
        back = safe_path(request, request.headers.get("HX-Current-URL"))
    elif request.method in {"GET", "HEAD"}:
        back = request.get_full_path()
    else:
        back = safe_path(request, request.headers.get("Referer"))
    return redirect_to_login(back or "/", resolve_url(settings.LOGIN_URL))


def staff_required(permission: str | None = None) -> Callable[[View[P]], View[P]]:
    """Let only hotel staff into a view, and only those who hold a permission where they work now.

    Nobody signed in goes to the login page and comes back; guests' and integrations' accounts and
    staff without the permission get a 403. A view that takes a record of another property checks
    the permission there itself.

    Args:
        permission: Such as `members.use_desk`; None for any member of staff.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            user = request.user
            if not isinstance(user, User):
                return login_redirect(request)
            if not user.is_hotel_staff:
                raise PermissionDenied
            if permission and not user.has_perm(permission, current_property(request)):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast("View[P]", guarded)

    return decorate


@require_POST
@staff_required()
def switch_property(request: HttpRequest) -> HttpResponse:
    """Work at another of the user's properties from now on, and show the page the user was on."""
    wanted = request.POST.get("property", "")
    place = next((p for p in visible_properties(cast("User", request.user)) if p.code == wanted), None)
    if place is None:
        raise PermissionDenied
    request.session[SESSION_KEY] = place.pk
    back = safe_path(request, request.POST.get("next") or request.headers.get("Referer")) or "/"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": back})
    return redirect(back)


@never_cache
@require_POST
@staff_required()
def draft(request: HttpRequest) -> HttpResponse:
    """Keep what the user has typed into a form, or forget it (`discard`)."""
    user, now = cast("User", request.user), timezone.now()
    form = request.POST.get("draft_form", "")
    try:
        object_id = UUID(request.POST.get("draft_object", ""))
        key = UUID(request.POST["request_key"]) if request.POST.get("request_key") else None
    except ValueError:
        return HttpResponse(status=400)
    if "discard" in request.POST:
        discard_draft(actor=user, now=now, form=form, object_id=object_id)
        back = safe_path(request, request.headers.get("Referer"))
        return redirect(back) if back and "quiet" not in request.POST else HttpResponse(status=204)
    try:
        save_draft(actor=user, now=now, form=form, object_id=object_id, content=request.POST.dict(), key=key)
    except DraftRefused as error:
        return HttpResponse(error.message, status=400, content_type="text/plain; charset=utf-8")
    place = current_property(request)
    local = now.astimezone(zoneinfo.ZoneInfo(place.time_zone)) if place else now
    text = _("Draft saved at %(time)s") % {"time": f"{local:%H:%M:%S}"}
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Change the language of the pages; a signed-in user keeps the choice."""
    language = request.POST.get("language", "")
    if isinstance(request.user, User) and language in User.Language.values:
        User.objects.filter(pk=request.user.pk).update(language=language)
    return django_set_language(request)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required()
def profile(request: HttpRequest) -> HttpResponse:
    """The user's own name, language, shortcuts and ways to sign in."""
    user = cast("User", request.user)
    form = ProfileForm(request.POST or None, instance=user)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            form.save(now=timezone.now())
            messages.success(request, _("Your profile is saved."))
            return redirect("hotels:profile")
        status = 422
    context = {
        "form": form,
        "assignments": user.assignments.select_related("group", "brand", "property").order_by("pk"),
        "has_second_factor": is_mfa_enabled(user),
    }
    return render(request, "account/profile.html", context, status=status)
