"""A member's own points, and stays from other systems with the points they bring."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle

from hotels.api.errors import ApiError
from hotels.api.pages import CursorPages
from hotels.api.requests import IDEMPOTENCY_HEADER, PrivateView, client_of, idempotency_key
from hotels.api.schema import LANGUAGE_HEADER, refusal
from hotels.models import Property, User
from hotels.services.idempotency import Answer, IdempotencyKeyReused, answer_once
from loyalty.api.serializers import (
    OwnPointsSerializer,
    OwnPostingSerializer,
    OwnProfileSerializer,
    StayReadSerializer,
    StayWriteSerializer,
)
from loyalty.models import Membership, Posting
from loyalty.selectors.lots import expiring_points
from loyalty.selectors.members import member_summary
from loyalty.selectors.postings import awarded_parts, points_of_stays
from members.api.views import own_guest
from members.models import Guest, GuestIdentity, Stay
from members.rules.identity import IdentityError, normalize_phone
from members.services import vault
from members.services.stays import FolioLineInput, StayConflict, StayInputError, post_stay

PROGRAMME = OpenApiParameter(
    "programme",
    OpenApiTypes.STR,
    description="Code of the programme, for members of several; default: the one joined first.",
)
NO_TOKEN = refusal("No valid token.")


def own_membership(request: Request) -> Membership:
    """The guest's membership in the programme asked for.

    Raises:
        ApiError: `membership_not_found`.
    """
    memberships = Membership.objects.filter(guest__user=client_of(request)).select_related("programme").order_by("pk")
    if code := request.query_params.get("programme"):
        memberships = memberships.filter(programme__code=code)
    membership = memberships.first()
    if membership is None:
        raise ApiError(code="membership_not_found", message=_("You are not a member."), status_code=404)
    return membership


def _glance(membership: Membership) -> dict[str, Any]:
    today = timezone.now().astimezone(zoneinfo.ZoneInfo(membership.programme.time_zone)).date()
    summary = member_summary(membership=membership, today=today)
    return {
        "summary": summary,
        "today": today,
        "membership": summary.membership,
        "number": summary.number,
        "tier": summary.tier,
        "tier_since_date": summary.tier_since_date,
        "available": summary.available,
        "pending": summary.pending,
        "held": summary.held,
        "debt": summary.debt,
        "next_tier": summary.next_tier,
        "benefits": [benefit.local_name for benefit in summary.benefits],
    }


class Me(PrivateView):
    """The signed-in guest."""

    @extend_schema(
        operation_id="me",
        tags=["me"],
        parameters=[LANGUAGE_HEADER],
        responses={200: OwnProfileSerializer, 401: NO_TOKEN, 403: refusal("Not a guest.")},
    )
    def get(self, request: Request) -> Response:
        """My profile, my memberships and the way to the next tier."""
        guest = own_guest(request)
        memberships = Membership.objects.filter(guest=guest).select_related("programme").order_by("pk")
        profile = {
            **{name: getattr(guest, name) for name in OwnProfileSerializer.Meta.fields[:-2] if name != "id"},
            "public_id": guest.public_id,
            "identities": guest.identities.order_by("kind", "pk"),
            "memberships": [_glance(membership) for membership in memberships],
        }
        return Response(OwnProfileSerializer(profile).data)  # type: ignore[arg-type]


class OwnPoints(PrivateView):
    """Balances of the signed-in guest."""

    @extend_schema(
        operation_id="me_points",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME],
        responses={200: OwnPointsSerializer, 401: NO_TOKEN, 404: refusal("Not a member.")},
    )
    def get(self, request: Request) -> Response:
        """My points, and which of them lapse when."""
        membership = own_membership(request)
        glance = _glance(membership)
        glance["expiring"] = expiring_points(membership_id=membership.pk, today=glance["today"])
        return Response(OwnPointsSerializer(glance).data)


class PostingPages(CursorPages):
    """Newest movement first."""

    ordering = "-seq"


class OwnPostings(PrivateView, ListAPIView[Posting]):
    """Movements of the signed-in guest's points."""

    queryset = Posting.objects.none()
    serializer_class = OwnPostingSerializer
    pagination_class = PostingPages
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Posting]:
        """Postings of this guest's membership alone."""
        membership = own_membership(self.request)
        return Posting.objects.filter(account__membership=membership, account__unit="points").select_related("property")

    @extend_schema(
        operation_id="me_postings",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME],
        responses={200: OwnPostingSerializer(many=True), 401: NO_TOKEN, 404: refusal("Not a member.")},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """My points, movement by movement, each explained in a sentence."""
        return super().get(request, *args, **kwargs)


class MayPostStays(BasePermission):
    """The client posts stays for at least one property."""

    def has_permission(self, request: Request, view: object) -> bool:  # noqa: ARG002
        """Whether any role of the user includes it; the property is checked with the request."""
        return isinstance(request.user, User) and request.user.has_perm("members.post_stay")


class IntegrationStays(PrivateView):
    """Finished stays from a property's own system."""

    permission_classes = (IsAuthenticated, MayPostStays)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "integration"

    @extend_schema(
        operation_id="integration_post_stay",
        tags=["integration"],
        parameters=[
            LANGUAGE_HEADER,
            OpenApiParameter(
                IDEMPOTENCY_HEADER,
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                required=True,
                description="Your own value for each request, at most 120 printable ASCII characters. A retry with "
                "the same key and data gets the first answer; refused requests are not remembered.",
            ),
        ],
        request=StayWriteSerializer,
        responses={
            201: StayReadSerializer,
            400: refusal("`invalid`, `parse_error`, `idempotency_key_missing`, `idempotency_key_invalid`"),
            401: NO_TOKEN,
            403: refusal("`permission_denied`: the client does not post stays"),
            404: refusal("`property_not_found`, `guest_not_found`"),
            409: refusal("`idempotency_conflict`, `stay_conflict`"),
            429: refusal("`throttled`"),
        },
    )
    def post(self, request: Request) -> Response:
        """Post a finished stay; its points are awarded in the same transaction."""
        client = client_of(request)
        key = idempotency_key(request)
        form = StayWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data
        place = _place(client, facts["property"])
        now = timezone.now()

        def perform() -> Answer:
            stay = post_stay(
                actor=client, now=now, place=place, guest_id=_guest_id(facts.get("guest")), **_stay(facts, place)
            )
            return Answer(status=201, body=_told(stay))

        try:
            answer = answer_once(
                actor=client, now=now, key=key, operation=f"POST {request.path}", data=request.data, perform=perform
            )
        except IdempotencyKeyReused as error:
            raise ApiError(code=error.code, message=error.message, status_code=409) from error
        except StayConflict as error:
            raise ApiError(code=error.code, message=str(error), status_code=409) from error
        except StayInputError as error:
            raise ValidationError({name: [message] for name, message in error.errors.items()}) from error
        return Response(answer.body, status=answer.status)


def _place(client: User, code: str) -> Property:
    """The property if it is in the client's scope; another one is as unknown as one that does not exist."""
    place = Property.objects.visible_to(client).select_related("brand__group").filter(code=code, is_active=True).first()
    if place is None or not client.has_perm("members.post_stay", place):
        raise ApiError(code="property_not_found", message=_("There is no such property."), status_code=404)
    return place


def _guest_id(reference: dict[str, str] | None) -> int | None:
    """The guest by membership number or phone; None for a stay that waits to be claimed."""
    if not reference:
        return None
    guests = Guest.objects.order_by("pk")
    if number := reference.get("membership_number"):
        found = guests.filter(memberships__number=number.strip().upper()).values_list("pk", flat=True).first()
    else:
        try:
            phone = normalize_phone(reference["phone"])
        except IdentityError as error:
            raise ValidationError({"guest": {"phone": [error.message]}}) from error
        kind = GuestIdentity.Kind.PHONE
        found = (
            guests.filter(
                identities__kind=kind, identities__issuer="", identities__value_index=vault.blind_index(kind, phone)
            )
            .values_list("pk", flat=True)
            .first()
        )
    if found is None:
        raise ApiError(code="guest_not_found", message=_("There is no such guest."), status_code=404)
    return found


def _stay(facts: dict[str, Any], place: Property) -> dict[str, Any]:
    room_type = None
    if code := facts.get("room_type"):
        room_type = place.room_types.filter(code=code).first()
        if room_type is None:
            raise ValidationError({"room_type": [str(_("The property has no such room type."))]})
    lines = [
        FolioLineInput(line_reference=line["reference"], **{k: v for k, v in line.items() if k != "reference"})
        for line in facts["lines"]
    ]
    texts = ("source_system", "source_reference", "arrival_date", "departure_date", "room_number")
    optional = ("rate_plan", "channel", "market_segment", "is_group")
    return {
        **{name: facts[name] for name in (*texts, *optional) if name in facts},
        "room_type": room_type,
        "lines": lines,
        "currency": facts.get("currency", place.currency),
    }


def _told(stay: Stay) -> dict[str, Any]:
    """What the client is told of a stored stay and the points it brought."""
    memberships = Membership.objects.filter(guest=stay.guest_id).select_related("programme").order_by("pk")
    awards = []
    for membership in memberships if stay.guest_id else []:
        (line,) = points_of_stays(membership=membership, stays=[stay])
        awards.append(
            {
                "programme": membership.programme.code,
                "membership_number": membership.number,
                "points": line.points,
                "pending_until": line.pending_until,
                "explanation": line.sentence,
                "parts": awarded_parts(line),
            }
        )
    told = {
        "id": stay.public_id,
        "property": stay.property.code,
        "source_system": stay.source_system,
        "source_reference": stay.source_reference,
        "status": stay.status,
        "is_claimed": stay.guest_id is not None,
        "nights": stay.nights,
        "net_total": stay.net_total,
        "currency": stay.currency,
        "awards": awards,
    }
    return dict(StayReadSerializer(told).data)
