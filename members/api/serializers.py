"""What the API shows of guests and stays."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from hotels.models import Property, RoomType
from members.models import GuestIdentity, Stay


class PlaceSerializer(serializers.ModelSerializer[Property]):
    """A property by code and name."""

    name = serializers.CharField(source="local_name", help_text="In the language asked for.")

    class Meta:
        model = Property
        fields = ["code", "name"]


class RoomTypeSerializer(serializers.ModelSerializer[RoomType]):
    """A room type by code and name."""

    name = serializers.CharField(source="local_name", help_text="In the language asked for.")

    class Meta:
        model = RoomType
        fields = ["code", "name"]


class OwnIdentitySerializer(serializers.ModelSerializer[GuestIdentity]):
    """One identity of the guest, masked."""

    is_verified = serializers.SerializerMethodField()

    class Meta:
        model = GuestIdentity
        fields = ["kind", "masked", "is_primary", "is_verified"]

    def get_is_verified(self, row: GuestIdentity) -> bool:
        """Whether the guest has proved that it is theirs."""
        return row.verified_at is not None


class OwnStaySerializer(serializers.ModelSerializer[Stay]):
    """One of the guest's stays."""

    id = serializers.UUIDField(source="public_id")
    property = PlaceSerializer()
    room_type = RoomTypeSerializer(allow_null=True)
    nights = serializers.IntegerField(help_text="0 for day use.")

    class Meta:
        model = Stay
        fields: list[Any] = [
            "id",
            "property",
            "arrival_date",
            "departure_date",
            "nights",
            "room_number",
            "room_type",
            "status",
            "net_total",
            "currency",
        ]
