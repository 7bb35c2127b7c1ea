"""What every staff page needs from the server."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from hotels.models import User
from hotels.selectors import current_property, group_name, visible_properties
from loyalty.selectors.approvals import count_waiting


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the main navigation.

    Attributes:
        code: Stable name, for CSS classes and tests.
        label: Text in the reader's language.
        url: Where it leads.
        icon: Name of the icon.
        is_current: Whether the page shown now lies below it.
        count: What waits there for the user, counted up to a limit; None for entries that count nothing.
    """

    code: str
    label: str
    url: str
    icon: str
    is_current: bool
    count: int | None = None


# The guest card is part of the desk, whatever its address.
DESK_VIEWS = ("members:desk", "members:desk_page", "members:desk_search", "members:guest")

# code, label, URL name, icon, permission
ENTRIES = (
    ("desk", gettext_noop("Desk"), "members:desk", "bell-ringing", "members.use_desk"),
    ("guests", gettext_noop("Guests"), "members:guests", "users", "members.view_guest"),
    ("tickets", gettext_noop("Tickets"), "feedback:tickets", "clipboard-list", "feedback.view_ticket"),
    ("rewards", gettext_noop("Rewards"), "loyalty:fulfilments", "gift", "loyalty.fulfil_redemption"),
    ("shares", gettext_noop("Shares"), "loyalty:shares", "share", "loyalty.decide_share"),
    ("finance", gettext_noop("Finance"), "loyalty:finance", "report-money", "loyalty.view_finance"),
    ("approvals", gettext_noop("Approvals"), "loyalty:approvals", "checks", "loyalty.view_approvalrequest"),
    ("duplicates", gettext_noop("Doubles"), "members:duplicates", "user-search", "members.merge_guests"),
    (
        "wallet",
        gettext_noop("Stored value"),
        "loyalty:stored_value_statement",
        "wallet",
        "loyalty.view_storedvaluemovement",
    ),
    ("imports", gettext_noop("Imports"), "members:imports", "file-import", "members.import_guests"),
    ("admin", gettext_noop("Administration"), "admin:index", "settings", "admin"),
)


def navigation(request: HttpRequest, user: User) -> list[NavItem]:
    """The entries of the main navigation that the user may open; those without a page yet are left out."""
    place = current_property(request)
    items = []
    for code, label, url_name, icon, permission in ENTRIES:
        allowed = user.may_administer if permission == "admin" else user.has_perm(permission, place)
        if not allowed:
            continue
        try:
            url = reverse(url_name)
        except NoReverseMatch:
            continue
        if request.resolver_match and request.resolver_match.view_name in DESK_VIEWS:
            is_current = url_name == "members:desk"
        else:
            is_current = url != "/" and request.path.startswith(url)
        counts = code == "approvals" and user.has_perm("loyalty.decide_approval")
        items.append(NavItem(code, _(label), url, icon, is_current, count_waiting(user) if counts else None))
    return items


def staff_shell(request: HttpRequest) -> dict[str, object]:
    """Context of the shell; nothing is read until a template uses it, and nothing for nobody.

    Returns:
        `nav` (list of `NavItem`), `properties` (those the user works for), `current_property`
        and `group_name`.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_hotel_staff:
        return {"nav": [], "properties": [], "current_property": None, "group_name": ""}
    return {
        "nav": SimpleLazyObject(lambda: navigation(request, user)),
        "properties": SimpleLazyObject(lambda: visible_properties(user)),
        "current_property": SimpleLazyObject(lambda: current_property(request)),
        "group_name": SimpleLazyObject(lambda: group_name(request)),
    }
