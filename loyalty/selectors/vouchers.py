"""Reads of vouchers: by code, for a member, whether one may be used, and what to say of it."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import segno
from babel.numbers import get_currency_precision
from django.db.models import Case, IntegerField, Value, When
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hotels.models import Property
from hotels.templatetags.ui import WEEKDAYS
from loyalty.models import Membership, Voucher, VoucherBatch, VoucherEvent, VoucherType
from loyalty.models.voucher import VoucherQuerySet
from loyalty.rules.money import money
from loyalty.rules.vouchers import Refusal, Terms, Use, amount_off, parse_code, spell_code, why_not

EXPORT_CHUNK = 5000
_OPEN_FIRST = Case(When(state="issued", then=Value(0)), default=Value(1), output_field=IntegerField())


@dataclass(frozen=True, slots=True)
class VoucherCheck:
    """Whether a voucher may be used, and what it takes off.

    Attributes:
        refusal: Why not; None if it may be used.
        amount: What it takes off; None for what is not money or depends on a spend that is not known.
        currency: Of the amount.
    """

    voucher: Voucher
    refusal: Refusal | None
    amount: Decimal | None
    currency: str


def find_voucher(text: str) -> Voucher | None:
    """The voucher with a code as typed or scanned; None if there is none.

    Raises:
        loyalty.rules.vouchers.CodeError: It cannot be a code.
    """
    return detailed_vouchers().filter(code=parse_code(text)).first()


def detailed_vouchers() -> VoucherQuerySet:
    """Vouchers with what their pages show, in a fixed number of queries."""
    return Voucher.objects.select_related(
        "type__programme",
        "type__min_tier",
        "type__funding_property",
        "membership__guest",
        "membership__tier",
        "redeemed_property",
        "redeemed_by",
        "batch",
    ).prefetch_related("type__properties", "type__brands", "type__blackouts")


def vouchers_of_member(*, membership_id: int, limit: int, only_open: bool = False) -> list[Voucher]:
    """A member's vouchers, open ones first and the next to expire on top."""
    vouchers = detailed_vouchers().filter(membership=membership_id)
    if only_open:
        vouchers = vouchers.filter(state=Voucher.State.ISSUED)
    return list(vouchers.order_by(_OPEN_FIRST, "expires_on", "-pk")[:limit])


def terms_of(voucher_type: VoucherType) -> Terms:
    """The terms of a type as the rules read them."""
    return Terms(
        kind=voucher_type.kind,
        amount=voucher_type.amount,
        percent=voucher_type.percent,
        currency=voucher_type.currency,
        min_spend=voucher_type.min_spend,
        weekdays=frozenset(voucher_type.weekdays),
        blackouts=[(row.first_date, row.last_date) for row in voucher_type.blackouts.all()],
        property_ids=frozenset(place.pk for place in voucher_type.properties.all()),
        brand_ids=frozenset(brand.pk for brand in voucher_type.brands.all()),
        min_rank=voucher_type.min_tier.rank if voucher_type.min_tier else None,
        is_transferable=voucher_type.is_transferable,
        is_stackable=voucher_type.is_stackable,
    )


def check_voucher(
    *,
    voucher: Voucher,
    now: dt.datetime,
    place: Property,
    presenter: Membership | None = None,
    spend: Decimal | None = None,
    reference: str = "",
) -> VoucherCheck:
    """Whether a voucher may be used here and now.

    Args:
        voucher: From `detailed_vouchers`.
        now: Aware instant.
        place: The property.
        presenter: Membership, with its tier, of who presents it; None if nobody said.
        spend: What it is used on, in the property's currency; None if not known.
        reference: Folio or check it is used on.
    """
    voucher_type = voucher.type
    terms = terms_of(voucher_type)
    others: Sequence[bool] = ()
    if reference:
        others = list(
            Voucher.objects.filter(redeemed_property=place, folio_reference=reference, state=Voucher.State.REDEEMED)
            .exclude(pk=voucher.pk)
            .values_list("type__is_stackable", flat=True)
        )
    use = Use(
        state=voucher.state,
        valid_from=voucher.valid_from,
        expires_on=voucher.expires_on,
        today=voucher_type.programme.local_date(now),
        local_date=place.local_date(now),
        property_id=place.pk,
        brand_id=place.brand_id,
        currency=place.currency,
        owner_id=voucher.membership_id,
        presenter_id=presenter.pk if presenter else None,
        presenter_rank=presenter.tier.rank if presenter else None,
        presenter_is_active=presenter is None or presenter.status == Membership.Status.ACTIVE,
        spend=spend,
        reference=reference,
        others=others,
    )
    refusal = why_not(terms, use)
    if presenter is not None and presenter.programme_id != voucher_type.programme_id and voucher.state == "issued":
        refusal = refusal or Refusal("other_programme")
    if refusal is not None and refusal.code == "redeemed":
        refusal = _used_when_where_by_whom(voucher)
    currency = voucher_type.currency or place.currency
    amount = amount_off(terms, spend, digits=get_currency_precision(currency))
    return VoucherCheck(voucher, refusal, amount, currency if amount is not None else "")


def _used_when_where_by_whom(voucher: Voucher) -> Refusal:
    place, when = voucher.redeemed_property, voucher.redeemed_at
    if place is None or when is None:
        return Refusal("redeemed")
    local = when.astimezone(zoneinfo.ZoneInfo(place.time_zone))
    return Refusal(
        "redeemed_at", {"when": f"{local:%Y-%m-%d %H:%M}", "place": place.local_name, "who": str(voucher.redeemed_by)}
    )


# In words


def worth_of(voucher_type: VoucherType) -> str:
    """What a voucher is worth, in a few words of the active language: ¥200 off, 20% off (at most ¥100)."""
    if voucher_type.kind == VoucherType.Kind.AMOUNT and voucher_type.amount is not None:
        return _("%(amount)s off") % {"amount": _money(voucher_type.amount, voucher_type.currency)}
    if voucher_type.kind == VoucherType.Kind.PERCENT and voucher_type.percent is not None:
        values = {"percent": f"{voucher_type.percent.normalize():f}"}
        if voucher_type.amount is None:
            return _("%(percent)s%% off") % values
        values["most"] = _money(voucher_type.amount, voucher_type.currency)
        return _("%(percent)s%% off, at most %(most)s") % values
    return str(voucher_type.get_kind_display())


def conditions_of(voucher_type: VoucherType) -> list[str]:
    """What a voucher asks for, a sentence each in the active language."""
    sentences = []
    if voucher_type.min_spend is not None:
        sentences.append(
            _("For a spend of at least %(amount)s") % {"amount": _money(voucher_type.min_spend, voucher_type.currency)}
        )
    places = [*voucher_type.brands.all(), *voucher_type.properties.all()]
    if places:
        sentences.append(_("Only at %(places)s") % {"places": _joined([place.local_name for place in places])})
    if voucher_type.weekdays:
        days = [str(WEEKDAYS[day - 1]) for day in sorted(voucher_type.weekdays)]
        sentences.append(_("Only on %(days)s") % {"days": _joined(days)})
    sentences += [
        _("Not from %(first)s to %(last)s") % {"first": _date(row.first_date), "last": _date(row.last_date)}
        for row in voucher_type.blackouts.all()
    ]
    if voucher_type.min_tier is not None:
        sentences.append(_("For members from %(tier)s on") % {"tier": voucher_type.min_tier.local_name})
    sentences.append(_("May be passed on") if voucher_type.is_transferable else _("Cannot be passed on"))
    sentences.append(
        _("Can be combined with other vouchers")
        if voucher_type.is_stackable
        else _("Cannot be combined with other vouchers")
    )
    return sentences


def terms_in_words(voucher_type: VoucherType) -> str:
    """The terms as the type words them, in the active language where they are given in it."""
    is_english = (get_language() or "").startswith("en")
    return (voucher_type.description_en if is_english else "") or voucher_type.description


def _money(amount: Decimal, currency: str) -> str:
    return money(amount, currency).removesuffix(".00")


def _joined(names: Sequence[str]) -> str:
    return _(", ").join(names)


def _date(day: dt.date) -> str:
    return date_format(day, "Y-m-d")


def qr_code(code: str) -> SafeString:
    """The code as a QR code: inline SVG without styles; it says nothing to a screen reader.

    Never a Micro QR code, which would hold it too: cameras of telephones do not read those.
    """
    svg = segno.make_qr(code, error="m").svg_inline(
        scale=4, border=4, svgclass="qr", lineclass=None, omitsize=True, dark="#000"
    )
    return mark_safe(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S308 - drawn here


# Histories and exports


def history_of(voucher: Voucher) -> list[VoucherEvent]:
    """What happened to a voucher, newest first."""
    return list(
        voucher.events.select_related("actor", "property", "from_membership__guest", "membership__guest").order_by(
            "-id"
        )
    )


def batch_rows(batch: VoucherBatch) -> Iterator[tuple[int | None, str, dt.date, dt.date | None, str]]:
    """Number, spelled code, first and last day and state of a batch's vouchers, in order, a chunk at a time."""
    after = 0
    while True:
        rows = list(
            batch.vouchers.filter(batch_number__gt=after)
            .order_by("batch_number")
            .values_list("batch_number", "code", "valid_from", "expires_on", "state")[:EXPORT_CHUNK]
        )
        if not rows:
            return
        labels = dict(Voucher.State.choices)
        for number, code, valid_from, expires_on, state in rows:
            yield number, spell_code(code), valid_from, expires_on, str(labels[state])
        after = rows[-1][0] or 0
