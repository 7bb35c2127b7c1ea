"""The audit trail, to read: who changed what, when, where, from what to what."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateTimeFilter

from hotels.admin.base import GrowingMixin, ReadOnlyAdmin
from hotels.models import AuditEntry

NO_VALUE = "—"


def _text(value: Any) -> str:
    if value is None or value == "":
        return NO_VALUE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def differences(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """Name, old and new value of each field that an entry changed, in the order of the entry."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return [(name, _text(old.get(name)), _text(new.get(name))) for name in names if old.get(name) != new.get(name)]


@admin.register(AuditEntry)
class AuditEntryAdmin(GrowingMixin, ReadOnlyAdmin):
    """Entries, newest first."""

    list_display = ["at", "who", "action", "object_label", "object_type", "object_id", "property", "changes"]
    list_select_related = ["actor", "property"]
    list_filter = [
        ("action", FieldTextFilter),
        ("object_type", FieldTextFilter),
        ("object_id", FieldTextFilter),
        ("actor__username", FieldTextFilter),
        ("at", RangeDateTimeFilter),
        "property",
    ]
    list_display_links = ["at"]
    ordering = ["-id"]
    search_fields = ["=object_id", "=actor__username", "^action", "=request_id"]
    search_help_text = _("Number of the record, user name, beginning of the action, or request code")
    fields = [
        "at",
        "who",
        "action",
        "object_type",
        "object_id",
        "object_label",
        "property",
        "written_reason",
        "difference",
        "request_id",
        "address",
    ]
    readonly_fields = ["who", "written_reason", "difference"]

    @admin.display(description=_("who"), ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        """The actor, or the system."""
        return str(entry.actor) if entry.actor else str(_("system"))

    @admin.display(description=_("reason"))
    def written_reason(self, entry: AuditEntry) -> str:
        """Why, in the actor's words; what the system gives by itself is kept in English."""
        return gettext(entry.reason) if entry.reason else NO_VALUE

    @admin.display(description=_("changes"))
    def changes(self, entry: AuditEntry) -> str:
        """The changes in one line, cut short."""
        parts = [f"{name}: {old} → {new}" for name, old, new in differences(entry.before, entry.after)]
        line = "; ".join(parts)
        return line if len(line) <= 120 else f"{line[:119]}…"  # noqa: PLR2004

    @admin.display(description=_("changes"))
    def difference(self, entry: AuditEntry) -> SafeString | str:
        """The changes as a table."""
        rows = differences(entry.before, entry.after)
        if not rows:
            return NO_VALUE
        body = format_html_join("", "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>", rows)
        return format_html(
            "<table class='audit-diff'><thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>{}</tbody></table>",
            _("field"),
            _("before"),
            _("after"),
            body,
        )
