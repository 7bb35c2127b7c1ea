"""A guest's own data."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from hotels.api.errors import ApiError
from hotels.api.pages import CursorPages
from hotels.api.requests import PrivateView, client_of
from hotels.api.schema import LANGUAGE_HEADER, refusal
from members.api.serializers import OwnStaySerializer
from members.models import Guest, Stay


def own_guest(request: Request) -> Guest:
    """The guest whose account the token belongs to.

    Raises:
        ApiError: `guest_required` for an account that is no guest's.
    """
    guest = Guest.objects.filter(user=client_of(request)).first()
    if guest is None:
        raise ApiError(code="guest_required", message=_("This account does not belong to a guest."), status_code=403)
    return guest


class StayPages(CursorPages):
    """Newest departure first."""

    ordering = ("-departure_date", "-id")


class OwnStays(PrivateView, ListAPIView[Stay]):
    """The signed-in guest's stays."""

    queryset = Stay.objects.none()
    serializer_class = OwnStaySerializer
    pagination_class = StayPages
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Stay]:
        """Stays of this guest alone, whatever else the account may see."""
        return Stay.objects.filter(guest=own_guest(self.request)).select_related("property", "room_type")

    @extend_schema(
        operation_id="me_stays",
        tags=["me"],
        parameters=[LANGUAGE_HEADER],
        responses={200: OwnStaySerializer(many=True), 401: refusal("No valid token."), 403: refusal("Not a guest.")},
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        """My stays, newest departure first."""
        return super().get(request, *args, **kwargs)
