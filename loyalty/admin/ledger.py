"""The points ledger, to read: only its database functions write it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter

from hotels.admin.base import ExportAdminMixin, GrowingMixin, ReadOnlyAdmin
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.models import Account, Hold, Lot, LotMove, Posting
from loyalty.rules.explain import spoken_reason
from loyalty.selectors.postings import sentence_of


def _signed(points: int) -> str:
    return f"{points:+,}" if points else "—"


class LedgerAdmin(GrowingMixin, ReadOnlyAdmin):
    """A table of the ledger, newest rows first."""

    ordering = ["-id"]
    search_fields = ["=account__membership__number"]
    search_help_text = _("Whole membership number")


@admin.register(Account)
class AccountAdmin(LedgerAdmin):
    """Balances of members."""

    list_display = ["membership", "programme", "unit", "available", "pending", "held", "debt", "last_seq"]
    list_select_related = ["membership", "programme"]
    list_filter = ["programme", "unit"]
    search_fields = ["=membership__number"]
    exclude = ["head_hash"]


class PostingResource(SafeResource):
    """Postings as exported."""

    membership = fields.Field("account__membership__number", _("membership number"))
    seq = fields.Field("seq", _("entry"))
    business_date = fields.Field("business_date", _("business date"))
    kind = fields.Field("get_kind_display", _("kind"))
    points = fields.Field("points", _("points"))
    available_after = fields.Field("available_after", _("available"))
    property = fields.Field("property__code", _("property"))
    sentence = fields.Field(column_name=_("explanation"))

    class Meta:
        model = Posting
        fields = ["membership", "seq", "business_date", "kind", "points", "available_after", "property", "sentence"]
        export_order = fields
        name = _("Postings")

    def dehydrate_sentence(self, posting: Posting) -> str:
        """Why, in one sentence."""
        return sentence_of(posting)


@admin.register(Posting)
class PostingAdmin(ExportAdminMixin, LedgerAdmin):
    """Entries of all accounts with their explanations."""

    place_path = "property"
    resource_classes = [PostingResource]
    formats = EXPORT_FORMATS
    list_display = [
        "business_date",
        "member",
        "kind",
        "points",
        "available_after",
        "pending_after",
        "sentence",
        "property",
        "actor",
    ]
    list_select_related = ["account__membership", "property", "actor"]
    list_filter = ["kind", "property", ("business_date", RangeDateFilter)]
    fields = [
        "member",
        "seq",
        "kind",
        "points",
        "sentence",
        "available_after",
        "pending_after",
        "held_after",
        "debt_after",
        "moves",
        "reverses",
        "reversed_points",
        "source_system",
        "source_reference",
        "source_line",
        "request_client",
        "request_key",
        "rule_version",
        "occurred_at",
        "business_date",
        "property",
        "actor",
        "written_reason",
    ]
    readonly_fields = ["member", "sentence", "moves", "written_reason"]

    @admin.display(description=_("membership"))
    def member(self, posting: Posting) -> str:
        """The membership number."""
        return posting.account.membership.number

    @admin.display(description=_("explanation"))
    def sentence(self, posting: Posting) -> str:
        """Why, in one sentence of the reader's language."""
        return sentence_of(posting)

    @admin.display(description=_("reason"))
    def written_reason(self, posting: Posting) -> str:
        """Why, in the actor's words."""
        return spoken_reason(posting.reason)

    @admin.display(description=_("lots"))
    def moves(self, posting: Posting) -> SafeString | str:
        """What the posting did to which lots."""
        moves = LotMove.objects.filter(posting_id=posting.pk).select_related("lot").order_by("lot_id")
        rows = [
            (move.lot_id, move.lot.expires_on or "—", _signed(move.pending_delta), _signed(move.open_delta))
            for move in moves
        ]
        if not rows:
            return "—"
        body = format_html_join(
            "", "<tr><th scope='row'>{}</th><td>{}</td><td class='num'>{}</td><td class='num'>{}</td></tr>", rows
        )
        return format_html(
            "<table class='audit-diff'><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>"
            "<tbody>{}</tbody></table>",
            _("lot"),
            _("expires on"),
            _("change of pending points"),
            _("change of open points"),
            body,
        )


@admin.register(Lot)
class LotAdmin(LedgerAdmin):
    """Points that came in together and lapse together."""

    list_display = [
        "id",
        "member",
        "lot_class",
        "state",
        "original",
        "remaining",
        "earned_date",
        "release_on",
        "expires_on",
        "funding_property",
    ]
    list_select_related = ["account__membership", "funding_property"]
    list_filter = ["state", "lot_class", ("expires_on", RangeDateFilter)]

    @admin.display(description=_("membership"))
    def member(self, lot: Lot) -> str:
        """The membership number."""
        return lot.account.membership.number


@admin.register(Hold)
class HoldAdmin(LedgerAdmin):
    """Points set aside."""

    list_display = ["id", "member", "points", "state", "hold_until"]
    list_select_related = ["account__membership"]
    list_filter = ["state"]

    @admin.display(description=_("membership"))
    def member(self, hold: Hold) -> str:
        """The membership number."""
        return hold.account.membership.number
