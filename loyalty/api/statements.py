"""A member's own statement for a period, as data or as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from hotels.api.requests import PrivateView
from hotels.api.schema import LANGUAGE_HEADER, refusal
from loyalty.api.serializers import ExpiringSerializer
from loyalty.api.views import NO_TOKEN, PROGRAMME, own_membership
from loyalty.forms import StatementForm
from loyalty.models import Membership
from loyalty.selectors.card import programme_today
from loyalty.selectors.statements import FILE_TYPES, Statement, member_statement, statement_file

FILE = OpenApiParameter(
    "as", OpenApiTypes.STR, enum=sorted(FILE_TYPES), description="A file to keep instead of data: `pdf` or `csv`."
)
START = OpenApiParameter(
    "start", OpenApiTypes.DATE, description="First day; default: 1 January of the last day's year."
)
LAST = OpenApiParameter("last", OpenApiTypes.DATE, description="Last day, included; default: today.")


class BalanceSerializer(serializers.Serializer[Any]):
    """Points between two movements."""

    available = serializers.IntegerField()
    pending = serializers.IntegerField()
    held = serializers.IntegerField()
    debt = serializers.IntegerField()


class StatementLineSerializer(serializers.Serializer[Any]):
    """One movement."""

    date = serializers.DateField(help_text="In the programme's time zone.")
    kind = serializers.CharField()
    points = serializers.IntegerField(help_text="Signed.")
    available_after = serializers.IntegerField()
    explanation = serializers.CharField(help_text="Why, in one sentence.")
    property = serializers.CharField(allow_null=True, help_text="Code of the property.")


class OwnStatementSerializer(serializers.Serializer[Any]):
    """A statement from one day to another, both included."""

    membership_number = serializers.CharField()
    start = serializers.DateField()
    last = serializers.DateField()
    opening = BalanceSerializer()
    closing = BalanceSerializer()
    lines = StatementLineSerializer(many=True)
    is_cut = serializers.BooleanField(help_text="Whether there are more movements than a statement holds.")
    expiring = ExpiringSerializer(many=True, help_text="What lapses when, of the points held today.")


class OwnStatement(PrivateView):
    """The signed-in guest's statement."""

    @extend_schema(
        operation_id="me_statement",
        tags=["me"],
        parameters=[LANGUAGE_HEADER, PROGRAMME, START, LAST, FILE],
        responses={
            (200, "application/json"): OwnStatementSerializer,
            (200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR),
            400: refusal("`invalid`: the days"),
            401: NO_TOKEN,
            404: refusal("Not a member."),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """My points in a period: what there was, every movement with its sentence, what is left, what lapses."""
        found = own_membership(request)
        membership = Membership.objects.select_related("guest", "tier", "programme").get(pk=found.pk)
        today = programme_today(membership.programme, timezone.now())
        form = StatementForm(request.query_params, today=today)
        if not form.is_valid():
            raise ValidationError({name: [*map(str, errors)] for name, errors in form.errors.items()})
        days = form.cleaned_data
        statement = member_statement(membership=membership, start=days["start"], last=days["last"], today=today)
        suffix = request.query_params.get("as", "")
        if suffix in FILE_TYPES:
            name, content = statement_file(statement, suffix)
            disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
            return HttpResponse(content, content_type=FILE_TYPES[suffix], headers=disposition)
        return Response(OwnStatementSerializer(_told(statement)).data)


def _told(statement: Statement) -> dict[str, Any]:
    return {
        "membership_number": statement.membership.number,
        "start": statement.start,
        "last": statement.last,
        "opening": statement.opening,
        "closing": statement.closing,
        "lines": [
            {
                "date": day,
                "kind": line.posting.kind,
                "points": line.posting.points,
                "available_after": line.posting.available_after,
                "explanation": line.sentence,
                "property": line.posting.property.code if line.posting.property else None,
            }
            for line, day in statement.lines
        ],
        "is_cut": statement.is_cut,
        "expiring": statement.expiring,
    }
