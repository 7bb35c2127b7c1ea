"""A member's own vouchers, and vouchers that outlets verify, redeem and give back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle

from hotels.api.errors import ApiError
from hotels.api.pages import CursorPages
from hotels.api.requests import IDEMPOTENCY_HEADER, PrivateView, StrictSerializer, client_of, idempotency_key
from hotels.api.schema import LANGUAGE_HEADER, refusal
from hotels.models import Property, User
from hotels.services.idempotency import Answer, IdempotencyKeyReused, answer_once
from loyalty.api.serializers import NamedSerializer
from loyalty.api.views import NO_TOKEN, PROGRAMME, own_membership
from loyalty.models import Membership, Voucher
from loyalty.rules.vouchers import CodeError, Refusal
from loyalty.selectors.vouchers import (
    VoucherCheck,
    check_voucher,
    conditions_of,
    detailed_vouchers,
    find_voucher,
    worth_of,
)
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import VoucherRefused, redeem_voucher, undo_redemption

KEY_PARAMETER = OpenApiParameter(
    IDEMPOTENCY_HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="Your own value for each request, at most 120 printable ASCII characters. A retry with the same key and "
    "data gets the first answer; refused requests are not remembered.",
)
REFUSALS = ", ".join(
    f"`voucher_{code}`"
    for code in (
        "redeemed_at",
        "canceled",
        "expired",
        "not_yet_valid",
        "other_property",
        "other_currency",
        "weekday",
        "blackout",
        "foreign_member",
        "member_required",
        "member_inactive",
        "tier_too_low",
        "other_programme",
        "spend_required",
        "below_minimum_spend",
        "reference_required",
        "not_stackable",
    )
)


class VoucherTypeSerializer(NamedSerializer):
    """What the voucher promises, in the language asked for."""

    kind = serializers.CharField(help_text="`amount`, `percent`, `room_night`, `upgrade` or `item`.")
    worth = serializers.SerializerMethodField(help_text="In a few words.")
    conditions = serializers.SerializerMethodField(help_text="A sentence each.")

    def get_worth(self, voucher_type: Any) -> str:
        """What it is worth."""
        return worth_of(voucher_type)

    def get_conditions(self, voucher_type: Any) -> list[str]:
        """Where, when and by whom it may be used."""
        return conditions_of(voucher_type)


class OwnVoucherSerializer(serializers.ModelSerializer[Voucher]):
    """One voucher of the guest, with its code."""

    id = serializers.UUIDField(source="public_id")
    code = serializers.CharField(source="spelled_code", help_text="As printed; also the content of the QR code.")
    type = VoucherTypeSerializer()

    class Meta:
        model = Voucher
        fields = ["id", "code", "type", "state", "valid_from", "expires_on", "issued_at", "redeemed_at"]


class VoucherPages(CursorPages):
    """Newest voucher first."""

    ordering = "-pk"


class OwnVouchers(PrivateView, ListAPIView[Voucher]):
    """Vouchers of the signed-in guest."""

    queryset = Voucher.objects.none()
    serializer_class = OwnVoucherSerializer
    pagination_class = VoucherPages
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Voucher]:
        """Vouchers of this guest's membership alone, of one state if asked for."""
        vouchers = detailed_vouchers().filter(membership=own_membership(self.request))
        if state := self.request.query_params.get("state"):
            vouchers = vouchers.filter(state=state)
        return vouchers

    @extend_schema(
        operation_id="me_vouchers",
        tags=["me"],
        parameters=[
            LANGUAGE_HEADER,
            PROGRAMME,
            OpenApiParameter("state", OpenApiTypes.STR, enum=[str(state) for state in Voucher.State.values]),
        ],
        responses={200: OwnVoucherSerializer(many=True), 401: NO_TOKEN, 404: refusal("Not a member.")},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """My vouchers with their codes, newest first."""
        return super().get(request, *args, **kwargs)


# Outlets


class VoucherReferenceSerializer(StrictSerializer):
    """Which voucher, where, presented by whom, on what."""

    property = serializers.CharField(max_length=20, help_text="Code of the property.")
    code = serializers.CharField(
        max_length=80,
        help_text="As typed or scanned: small letters, spaces, hyphens, O for 0, I or L for 1 are understood.",
    )
    membership_number = serializers.CharField(
        max_length=40, required=False, help_text="Who presents it; needed for personal vouchers."
    )
    spend = serializers.DecimalField(
        max_digits=12,
        decimal_places=2,
        min_value=0,
        required=False,
        help_text="What it is used on, in the property's currency; needed for percentages and minimum spends.",
    )
    reference = serializers.CharField(
        max_length=80, required=False, help_text="Folio or check; needed for vouchers that cannot be combined."
    )


class RefusalSerializer(serializers.Serializer[Refusal]):
    """Why the voucher may not be used."""

    code = serializers.SerializerMethodField()
    detail = serializers.CharField(source="message")

    def get_code(self, reason: Refusal) -> str:
        """Stable code."""
        return f"voucher_{reason.code}"


class OutletVoucherSerializer(serializers.Serializer[Voucher]):
    """A voucher as an outlet sees it."""

    id = serializers.UUIDField(source="public_id")
    masked_code = serializers.CharField()
    type = VoucherTypeSerializer()
    state = serializers.CharField()
    membership_number = serializers.CharField(
        source="membership.number", default=None, allow_null=True, help_text="Whose it is; null: whoever carries it."
    )
    valid_from = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True)


class VoucherCheckSerializer(serializers.Serializer[VoucherCheck]):
    """Whether a voucher may be used, and what it takes off."""

    usable = serializers.SerializerMethodField()
    refusal = RefusalSerializer(allow_null=True)
    amount = serializers.DecimalField(
        max_digits=12, decimal_places=2, allow_null=True, help_text="Taken off; null for what is not money."
    )
    currency = serializers.CharField(help_text="Of the amount; empty without one.")
    voucher = OutletVoucherSerializer()

    def get_usable(self, check: VoucherCheck) -> bool:
        """Whether nothing speaks against it."""
        return check.refusal is None


class RedemptionSerializer(serializers.Serializer[Any]):
    """The use of a voucher."""

    redemption_id = serializers.UUIDField(help_text="Names this use; send it to undo.")
    amount = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    currency = serializers.CharField()
    voucher = OutletVoucherSerializer()


class UndoSerializer(StrictSerializer):
    """Which use is taken back."""

    property = serializers.CharField(max_length=20, help_text="Code of the property.")
    redemption_id = serializers.UUIDField()
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class MayRedeemVouchers(BasePermission):
    """The client redeems vouchers for at least one property."""

    def has_permission(self, request: Request, view: object) -> bool:  # noqa: ARG002
        """Whether any role of the user includes it; the property is checked with the request."""
        return isinstance(request.user, User) and request.user.has_perm("loyalty.redeem_voucher")


class OutletView(PrivateView):
    """What the addresses for outlets share."""

    permission_classes = (IsAuthenticated, MayRedeemVouchers)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "integration"

    def once(self, request: Request, key: str, perform: Callable[[], Answer]) -> Response:
        """Carry out a request once for its key, and turn a refusal into its answer."""
        try:
            answer = answer_once(
                actor=client_of(request),
                now=timezone.now(),
                key=key,
                operation=f"POST {request.path}",
                data=request.data,
                perform=perform,
            )
        except IdempotencyKeyReused as error:
            raise ApiError(code=error.code, message=error.message, status_code=409) from error
        except VoucherRefused as error:
            raise ApiError(code=f"voucher_{error.code}", message=str(error), status_code=409) from error
        return Response(answer.body, status=answer.status)


class VerifyVoucher(OutletView):
    """Whether a voucher may be used."""

    @extend_schema(
        operation_id="integration_verify_voucher",
        tags=["integration"],
        parameters=[LANGUAGE_HEADER],
        request=VoucherReferenceSerializer,
        responses={
            200: VoucherCheckSerializer,
            400: refusal("`invalid`, `parse_error`; a code with a typing error is `invalid` too"),
            401: NO_TOKEN,
            403: refusal("`permission_denied`: the client does not redeem vouchers"),
            404: refusal("`property_not_found`, `voucher_unknown`, `membership_not_found`"),
            429: refusal("`throttled`"),
        },
    )
    def post(self, request: Request) -> Response:
        """See whether a voucher may be used here, and what it takes off; changes nothing."""
        form = VoucherReferenceSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data
        place = _place(client_of(request), facts["property"])
        check = check_voucher(
            voucher=_voucher(facts["code"]),
            now=timezone.now(),
            place=place,
            presenter=_presenter(facts),
            spend=facts.get("spend"),
            reference=facts.get("reference", ""),
        )
        return Response(VoucherCheckSerializer(check).data)


class RedeemVoucher(OutletView):
    """The use of a voucher at an outlet."""

    @extend_schema(
        operation_id="integration_redeem_voucher",
        tags=["integration"],
        parameters=[LANGUAGE_HEADER, KEY_PARAMETER],
        request=VoucherReferenceSerializer,
        responses={
            201: RedemptionSerializer,
            400: refusal("`invalid`, `parse_error`, `idempotency_key_missing`, `idempotency_key_invalid`"),
            401: NO_TOKEN,
            403: refusal("`permission_denied`: the client does not redeem vouchers"),
            404: refusal("`property_not_found`, `voucher_unknown`, `membership_not_found`"),
            409: refusal(f"`idempotency_conflict`, {REFUSALS}"),
            429: refusal("`throttled`"),
        },
    )
    def post(self, request: Request) -> Response:
        """Use a voucher, exactly once."""
        client, key = client_of(request), idempotency_key(request)
        form = VoucherReferenceSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data
        place = _place(client, facts["property"])
        voucher, presenter = _voucher(facts["code"]), _presenter(facts)

        def perform() -> Answer:
            used = redeem_voucher(
                actor=client,
                now=timezone.now(),
                voucher_id=voucher.pk,
                place=place,
                request=RequestKey(f"api-{client.pk}", key),
                membership_id=presenter.pk if presenter else None,
                spend=facts.get("spend"),
                reference=facts.get("reference", ""),
            )
            return Answer(status=201, body=dict(RedemptionSerializer(used).data))

        return self.once(request, key, perform)


class UndoVoucher(OutletView):
    """The use of a voucher taken back."""

    @extend_schema(
        operation_id="integration_undo_voucher",
        tags=["integration"],
        parameters=[LANGUAGE_HEADER, KEY_PARAMETER],
        request=UndoSerializer,
        responses={
            200: OutletVoucherSerializer,
            400: refusal("`invalid`, `parse_error`, `idempotency_key_missing`, `idempotency_key_invalid`"),
            401: NO_TOKEN,
            403: refusal("`permission_denied`: the client does not redeem vouchers"),
            404: refusal("`property_not_found`, `voucher_unknown`: no such use"),
            409: refusal("`idempotency_conflict`, `voucher_undo_too_late`, `voucher_undo_elsewhere`"),
            429: refusal("`throttled`"),
        },
    )
    def post(self, request: Request) -> Response:
        """Take the use of a voucher back, for half an hour after it."""
        client, key = client_of(request), idempotency_key(request)
        form = UndoSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data
        place = _place(client, facts["property"])
        redemption_id: uuid.UUID = facts["redemption_id"]

        def perform() -> Answer:
            try:
                voucher = undo_redemption(
                    actor=client,
                    now=timezone.now(),
                    redemption_id=redemption_id,
                    place=place,
                    may_undo_late=client.has_perm("loyalty.undo_voucher", place),
                    reason=facts.get("reason", ""),
                )
            except VoucherRefused as error:
                if error.code == "unknown":
                    raise _unknown() from error
                raise
            return Answer(status=200, body=dict(OutletVoucherSerializer(voucher).data))

        return self.once(request, key, perform)


def _place(client: User, code: str) -> Property:
    """The property if it is in the client's scope; another one is as unknown as one that does not exist."""
    place = Property.objects.visible_to(client).select_related("brand__group").filter(code=code, is_active=True).first()
    if place is None or not client.has_perm("loyalty.redeem_voucher", place):
        raise ApiError(code="property_not_found", message=_("There is no such property."), status_code=404)
    return place


def _unknown() -> ApiError:
    return ApiError(code="voucher_unknown", message=Refusal("unknown").message, status_code=404)


def _voucher(code: str) -> Voucher:
    try:
        voucher = find_voucher(code)
    except CodeError as error:
        raise ValidationError({"code": [serializers.ErrorDetail(error.message, code=error.code)]}) from error
    if voucher is None:
        raise _unknown()
    return voucher


def _presenter(facts: dict[str, Any]) -> Membership | None:
    if not (number := facts.get("membership_number", "").strip().upper()):
        return None
    membership = Membership.objects.select_related("guest", "tier").filter(number=number).first()
    if membership is None:
        raise ApiError(
            code="membership_not_found", message=_("There is no membership with this number."), status_code=404
        )
    return membership
