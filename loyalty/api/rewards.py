"""The catalogue for a member, and the member's own redemptions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from hotels.api.errors import ApiError
from hotels.api.pages import CursorPages
from hotels.api.requests import PrivateView, StrictSerializer, client_of, idempotency_key
from hotels.api.schema import LANGUAGE_HEADER, refusal
from hotels.models import Property
from hotels.services.idempotency import Answer, IdempotencyKeyReused, answer_once
from loyalty.api.serializers import NamedSerializer
from loyalty.api.views import NO_TOKEN, PROGRAMME, own_membership
from loyalty.api.vouchers import KEY_PARAMETER
from loyalty.models import Membership, MovementKind, Redemption, Reward, RewardCategory
from loyalty.rules.rewards import QUANTITY_MAXIMUM, SENTENCES
from loyalty.selectors.members import member_summary
from loyalty.selectors.rewards import Offer, offers
from loyalty.services.approvals import ApprovalError, RedeemReward, Requested, perform_or_request
from loyalty.services.ledger import LedgerError
from loyalty.services.redemptions import RedemptionError, cancel_redemption, quote_reward
from members.api.serializers import PlaceSerializer

REFUSALS = ", ".join(f"`{code}`" for code in SENTENCES)


class PriceOptionSerializer(serializers.Serializer[Any]):
    """One way to pay for one piece."""

    price = serializers.IntegerField(source="option.price_id", help_text="Send it back to choose this option.")
    points = serializers.IntegerField(source="option.points")
    cash = serializers.DecimalField(source="option.cash", max_digits=12, decimal_places=2)
    currency = serializers.CharField(source="option.currency", help_text="Empty without money.")
    missing_points = serializers.IntegerField(source="missing")


class OfferRefusalSerializer(serializers.Serializer[Any]):
    """Why not."""

    code = serializers.CharField(help_text=REFUSALS)
    message = serializers.CharField(help_text="In the language asked for.")


class OfferSerializer(serializers.Serializer[Offer]):
    """A reward at a property on a day, for the member."""

    code = serializers.CharField(source="terms.code")
    name = serializers.CharField(source="terms.local_name")
    description = serializers.CharField(source="terms.local_description")
    category = serializers.ChoiceField(source="terms.category", choices=[str(value) for value in RewardCategory.values])
    picture = serializers.SerializerMethodField(help_text="Address of the picture; null without one.")
    options = PriceOptionSerializer(many=True)
    can_be_taken = serializers.BooleanField()
    refusal = OfferRefusalSerializer(allow_null=True)

    def get_picture(self, offer: Offer) -> str | None:
        """Where the picture is."""
        return reverse("loyalty:reward_picture", args=[offer.terms.id]) if offer.terms.has_picture else None


class OfferQuerySerializer(serializers.Serializer[Any]):
    """What is asked of the catalogue."""

    property = serializers.CharField(max_length=20)
    date = serializers.DateField(required=False)
    quantity = serializers.IntegerField(min_value=1, max_value=QUANTITY_MAXIMUM, default=1)


class OwnRedemptionSerializer(serializers.ModelSerializer[Redemption]):
    """One redemption of the guest."""

    id = serializers.UUIDField(source="public_id")
    reward = NamedSerializer()
    property = PlaceSerializer()
    date = serializers.DateField(source="for_date", help_text="The day it is for.")
    vouchers = serializers.SerializerMethodField(help_text="Ids of the vouchers it gave.")

    class Meta:
        model = Redemption
        fields = [
            "id",
            "reward",
            "property",
            "date",
            "quantity",
            "points",
            "cash",
            "currency",
            "status",
            "redeemed_at",
            "fulfilled_at",
            "canceled_at",
            "vouchers",
        ]

    def get_vouchers(self, redemption: Redemption) -> list[uuid.UUID]:
        """Public ids, oldest first."""
        return sorted((voucher.public_id for voucher in redemption.vouchers.all()), key=str)


class RedemptionWriteSerializer(StrictSerializer):
    """Which reward, where and for when."""

    reward = serializers.SlugField(max_length=40, help_text="Code of the reward.")
    property = serializers.CharField(max_length=20, help_text="Code of the property.")
    date = serializers.DateField(required=False, help_text="The day it is for; default: today at the property.")
    quantity = serializers.IntegerField(min_value=1, max_value=QUANTITY_MAXIMUM, required=False)
    price = serializers.IntegerField(min_value=0, required=False, help_text="The option chosen; default: the first.")
    points = serializers.IntegerField(
        min_value=1, required=False, help_text="Of one, as shown; another price meanwhile is refused."
    )
    cash = serializers.DecimalField(max_digits=12, decimal_places=2, required=False, min_value=0)


class HeldRedemptionSerializer(serializers.Serializer[Any]):
    """A redemption that somebody at the hotel looks at first."""

    request = serializers.CharField(help_text="Number of the request, to be named to the hotel.")
    message = serializers.CharField(help_text="In the language asked for.")


class CancelSerializer(StrictSerializer):
    """Why it is given back."""

    reason = serializers.CharField(max_length=200)


def _place(code: str) -> Property:
    place = Property.objects.filter(code=code, is_active=True).first()
    if place is None:
        raise ApiError(code="property_not_found", message=_("There is no such property."), status_code=404)
    return place


class Rewards(PrivateView):
    """The catalogue as the signed-in guest sees it."""

    @extend_schema(
        operation_id="rewards",
        tags=["rewards"],
        parameters=[
            LANGUAGE_HEADER,
            PROGRAMME,
            OpenApiParameter("property", OpenApiTypes.STR, required=True, description="Code of the property."),
            OpenApiParameter("date", OpenApiTypes.DATE, description="The day it is for; default: today there."),
            OpenApiParameter("quantity", OpenApiTypes.INT),
        ],
        responses={
            200: OfferSerializer(many=True),
            400: refusal("`invalid`"),
            401: NO_TOKEN,
            404: refusal("`membership_not_found`, `property_not_found`"),
        },
    )
    def get(self, request: Request) -> Response:
        """Rewards with the price of the day: those I can take first, the others with the reason."""
        membership = own_membership(request)
        query = OfferQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        facts, now = query.validated_data, timezone.now()
        place = _place(facts["property"])
        summary = member_summary(membership=membership, today=membership.programme.local_date(now))
        found = offers(
            programme=membership.programme,
            place=place,
            now=now,
            for_date=facts.get("date"),
            membership=membership,
            available=summary.available,
            quantity=facts["quantity"],
        )
        return Response(OfferSerializer(found, many=True).data)  # type: ignore[arg-type]


class RedemptionPages(CursorPages):
    """Newest redemption first."""

    ordering = "-pk"


def _own(membership: Membership) -> QuerySet[Redemption]:
    rows = Redemption.objects.filter(membership=membership)
    return rows.select_related("reward", "property").prefetch_related("vouchers")


def _once(request: Request, key: str, perform: Callable[[], Answer]) -> Response:
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
    except (LedgerError, RedemptionError, ApprovalError) as error:
        raise ApiError(code=error.code, message=str(error), status_code=409) from error
    return Response(answer.body, status=answer.status)


class OwnRedemptions(PrivateView, ListAPIView[Redemption]):
    """Redemptions of the signed-in guest."""

    queryset = Redemption.objects.none()
    serializer_class = OwnRedemptionSerializer
    pagination_class = RedemptionPages
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Redemption]:
        """Redemptions of this guest's membership alone."""
        return _own(own_membership(self.request))

    @extend_schema(
        operation_id="me_redemptions",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME],
        responses={200: OwnRedemptionSerializer(many=True), 401: NO_TOKEN, 404: refusal("Not a member.")},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """My redemptions, newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="me_redeem",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME, KEY_PARAMETER],
        request=RedemptionWriteSerializer,
        responses={
            201: OwnRedemptionSerializer,
            202: OpenApiResponse(
                HeldRedemptionSerializer,
                "The hotel looks at it first; the points are set aside. Once approved, it is among my redemptions.",
            ),
            400: refusal("`invalid`, `idempotency_key_missing`, `idempotency_key_invalid`"),
            401: NO_TOKEN,
            404: refusal("`membership_not_found`, `property_not_found`, `reward_not_found`"),
            409: refusal(f"`idempotency_conflict`, `reward_unavailable`, `voucher_not_issued`, {REFUSALS}"),
        },
    )
    def post(self, request: Request) -> Response:
        """Redeem a reward for my points; what costs money besides is paid at the property."""
        membership, key = own_membership(request), idempotency_key(request)
        form = RedemptionWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data
        place = _place(facts["property"])
        reward = Reward.objects.filter(programme=membership.programme_id, code=facts["reward"]).first()
        if reward is None:
            raise ApiError(code="reward_not_found", message=_("There is no such reward."), status_code=404)

        def perform() -> Answer:
            now, date, quantity = timezone.now(), facts.get("date"), facts.get("quantity", 1)
            price_id = facts.get("price")
            if "points" in facts:
                points, cash = facts["points"], facts.get("cash", Decimal(0))
            else:
                option = quote_reward(
                    now=now,
                    membership_id=membership.pk,
                    reward_id=reward.pk,
                    place=place,
                    for_date=date,
                    quantity=quantity,
                    price_id=price_id,
                )
                price_id, points, cash = option.price_id, option.points, option.cash
            outcome = perform_or_request(
                kind=MovementKind.REDEEM,
                actor=None,
                now=now,
                membership_id=membership.pk,
                payload=RedeemReward(
                    membership_id=membership.pk,
                    reward_id=reward.pk,
                    points=points,
                    cash=cash,
                    price_id=price_id,
                    for_date=date,
                    quantity=quantity,
                ),
                place=place,
                idempotency_key=f"{client_of(request).pk}:{key}",
            )
            if isinstance(outcome, Requested):
                message = _("The hotel checks this redemption first. Your points are set aside until then.")
                held = {"request": str(outcome.request.number), "message": str(message)}
                return Answer(status=202, body=dict(HeldRedemptionSerializer(held).data))
            redemption: Redemption = outcome.result
            return Answer(status=201, body=dict(OwnRedemptionSerializer(_own(membership).get(pk=redemption.pk)).data))

        return _once(request, key, perform)


class CancelOwnRedemption(PrivateView):
    """Giving a reward back."""

    @extend_schema(
        operation_id="me_cancel_redemption",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME, KEY_PARAMETER],
        request=CancelSerializer,
        responses={
            200: OwnRedemptionSerializer,
            400: refusal("`invalid`, `idempotency_key_missing`, `idempotency_key_invalid`"),
            401: NO_TOKEN,
            404: refusal("`membership_not_found`, `redemption_not_found`"),
            409: refusal(
                "`idempotency_conflict`, `too_late`, `already_fulfilled`, `already_closed`, `voucher_used`, `voucher_over`"
            ),
        },
    )
    def post(self, request: Request, public_id: uuid.UUID) -> Response:
        """Cancel a redemption as its reward allows; the points go back where they came from."""
        membership, key = own_membership(request), idempotency_key(request)
        form = CancelSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        redemption = _own(membership).filter(public_id=public_id).first()
        if redemption is None:
            raise ApiError(code="redemption_not_found", message=_("There is no such redemption."), status_code=404)

        def perform() -> Answer:
            cancel_redemption(
                actor=None,
                now=timezone.now(),
                redemption_id=redemption.pk,
                reason=form.validated_data["reason"],
            )
            return Answer(status=200, body=dict(OwnRedemptionSerializer(_own(membership).get(pk=redemption.pk)).data))

        return _once(request, key, perform)
