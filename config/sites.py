"""The admin site of managers, marketers and auditors: who enters it, its name and its navigation."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext
from unfold.sites import UnfoldAdminSite

from hotels.models import AuditEntry, User
from hotels.selectors import group_name
from hotels.views import safe_path
from members.services.guests import REVEAL_REFUSED

# For how long the first page of the admin tells of refused looks at personal data, and how many it counts.
REVEAL_ALERT_FOR = dt.timedelta(days=7)
REVEAL_ALERT_COUNTED = 100

# Title of the group, then (app, model, icon) of each entry; the label is the model's own name.
SECTIONS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        gettext_noop("Guests"),
        (
            ("members", "guest", "group"),
            ("members", "reservation", "event"),
            ("members", "stay", "hotel"),
            ("members", "tag", "sell"),
            ("members", "importbatch", "upload_file"),
            ("members", "importsource", "database"),
        ),
    ),
    (
        gettext_noop("Members and points"),
        (
            ("loyalty", "membership", "card_membership"),
            ("loyalty", "posting", "receipt_long"),
            ("loyalty", "account", "account_balance_wallet"),
            ("loyalty", "lot", "inventory_2"),
            ("loyalty", "hold", "pause_circle"),
            ("loyalty", "redemption", "redeem"),
            ("loyalty", "voucher", "confirmation_number"),
            ("loyalty", "voucherbatch", "stacks"),
            ("loyalty", "approvalrequest", "approval"),
            ("loyalty", "movementrecord", "swap_horiz"),
            ("loyalty", "storedvaluemovement", "account_balance_wallet"),
            ("loyalty", "pointstransfer", "swap_horiz"),
            ("loyalty", "tierchange", "trending_up"),
            ("loyalty", "qualificationentry", "checklist"),
        ),
    ),
    (
        gettext_noop("Programme"),
        (
            ("loyalty", "programme", "workspace_premium"),
            ("loyalty", "tier", "stairs"),
            ("loyalty", "tiercriteria", "rule"),
            ("loyalty", "tierbenefit", "verified"),
            ("loyalty", "earningruleset", "percent"),
            ("loyalty", "earningrule", "list_alt"),
            ("loyalty", "backtest", "query_stats"),
            ("loyalty", "ruleuse", "data_usage"),
            ("loyalty", "reward", "card_giftcard"),
            ("loyalty", "exchangeratio", "currency_exchange"),
            ("loyalty", "vouchertype", "local_activity"),
            ("loyalty", "settlementrate", "price_change"),
            ("loyalty", "storedvaluepolicy", "savings"),
            ("loyalty", "transferpolicy", "move_up"),
        ),
    ),
    (
        gettext_noop("Service and marketing"),
        (
            ("feedback", "ticket", "support_agent"),
            ("feedback", "slapolicy", "timer"),
            ("feedback", "businesscalendar", "calendar_month"),
            ("feedback", "publicholiday", "event_busy"),
            ("feedback", "shift", "badge"),
            ("feedback", "routingrule", "alt_route"),
            ("feedback", "macro", "quickreply"),
            ("campaigns", "campaign", "campaign"),
        ),
    ),
    (
        gettext_noop("Organization"),
        (
            ("hotels", "hotelgroup", "domain"),
            ("hotels", "brand", "branding_watermark"),
            ("hotels", "property", "apartment"),
            ("hotels", "department", "lan"),
            ("hotels", "roomtype", "bed"),
            ("hotels", "exchangerate", "currency_exchange"),
        ),
    ),
    (
        gettext_noop("Access and control"),
        (
            ("hotels", "user", "badge"),
            ("mfa", "authenticator", "phonelink_lock"),
            ("knox", "authtoken", "key"),
            ("loyalty", "approvallimit", "production_quantity_limits"),
            ("loyalty", "velocityrule", "speed"),
            ("hotels", "auditentry", "policy"),
        ),
    ),
    (
        gettext_noop("Scheduled work"),
        (
            ("loyalty", "jobrun", "play_circle"),
            ("loyalty", "settlementrun", "balance"),
            ("loyalty", "expirynotice", "notifications"),
            ("django_celery_beat", "periodictask", "schedule"),
            ("django_celery_beat", "crontabschedule", "calendar_month"),
            ("django_celery_beat", "intervalschedule", "timer"),
            ("django_celery_beat", "clockedschedule", "alarm"),
        ),
    ),
)

# Names of libraries' tables in the terms of the trade.
LABELS = {
    "authenticator": gettext_noop("Second factors"),
    "authtoken": gettext_noop("API tokens"),
    "periodictask": gettext_noop("Scheduled tasks"),
    "crontabschedule": gettext_noop("Times by the calendar"),
    "intervalschedule": gettext_noop("Intervals"),
    "clockedschedule": gettext_noop("Single times"),
}


class StaffAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Entered by role, not by the `is_staff` flag, and only through the staff login."""

    index_title = gettext_lazy("Administration")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The tables grouped as in the navigation; for one app's page as Django groups them."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return cast("list[dict[str, Any]]", apps)
        tables = {(app["app_label"], table["model"]._meta.model_name): table for app in apps for table in app["models"]}
        index = reverse("admin:index")
        sections = []
        for title, entries in SECTIONS:
            shown = [
                {**tables[app, name], "name": _(LABELS[name]) if name in LABELS else tables[app, name]["name"]}
                for app, name, _icon in entries
                if (app, name) in tables
            ]
            if shown:
                sections.append(
                    {"name": _(title), "app_label": title, "app_url": index, "has_module_perms": True, "models": shown}
                )
        return sections

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The tables, and on top what calls for the reader's attention."""
        self._alert_of_refused_reveals(request)
        return cast("HttpResponse", super().index(request, extra_context))

    def _alert_of_refused_reveals(self, request: HttpRequest) -> None:
        user = cast("User", request.user)
        if not user.has_perm("hotels.view_auditentry"):
            return
        since = timezone.now() - REVEAL_ALERT_FOR
        refusals = AuditEntry.objects.visible_to(user).filter(action=REVEAL_REFUSED, at__gte=since)
        # Enough to alarm; a careless script must not make the page slow.
        count = refusals[:REVEAL_ALERT_COUNTED].count()
        if count:
            text = ngettext(
                "In the last seven days, %(count)s look at a guest's personal data was refused because the daily limit"
                " was reached.",
                "In the last seven days, %(count)s looks at guests' personal data were refused because the daily limit"
                " was reached.",
                count,
            ) % {"count": count}
            link = f"{reverse('admin:hotels_auditentry_changelist')}?action={REVEAL_REFUSED}"
            messages.warning(request, format_html('{} <a href="{}">{}</a>', text, link, _("Show who and when")))

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the user has a role that works here."""
        return isinstance(request.user, User) and request.user.is_active and request.user.may_administer

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send nobody to the staff login, and others away: there is one login with one second factor."""
        if isinstance(request.user, User):
            raise PermissionDenied
        back = safe_path(request, request.GET.get("next")) or reverse("admin:index")
        return redirect_to_login(back, resolve_url(settings.LOGIN_URL))


def site_title(request: HttpRequest) -> str:
    """The hotel group's name."""
    return group_name(request) or "Guike"


def admin_style(request: HttpRequest) -> str:
    """Our additions to the theme."""
    return static("house/admin.css")


def favicon(request: HttpRequest) -> str:
    """The icon of the browser's tab."""
    return static("app/favicon.svg")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation in the terms of the trade, with what the reader may see."""
    site: StaffAdminSite = admin.site  # type: ignore[assignment]
    admins = {(m._meta.app_label, m._meta.model_name): (m, a) for m, a in site._registry.items()}
    groups = []
    for title, entries in SECTIONS:
        items = []
        for app, name, icon in entries:
            model, model_admin = admins[app, name]
            if model_admin.has_view_permission(request):
                label = _(LABELS[name]) if name in LABELS else str(model._meta.verbose_name_plural)
                items.append(
                    {
                        "title": label[:1].upper() + label[1:],
                        "icon": icon,
                        "link": reverse(f"admin:{app}_{name}_changelist"),
                    }
                )
        if items:
            groups.append({"title": _(title), "separator": True, "collapsible": False, "items": items})
    return groups


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """Links of the user's menu."""
    return [
        {"title": _("Profile"), "link": reverse("hotels:profile")},
        {"title": _("Second factor"), "link": reverse("mfa_index")},
    ]
