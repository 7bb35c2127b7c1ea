"""What the API shows of memberships and points, and what it takes of a stay."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from hotels.api.requests import StrictSerializer
from hotels.models import BilingualName
from hotels.models.organisation import currency_validator
from loyalty.models import Posting
from loyalty.selectors.members import MemberSummary, TierProgress
from loyalty.selectors.postings import sentence_of
from members.api.serializers import OwnIdentitySerializer, PlaceSerializer
from members.models import Guest, RevenueCategory


class NamedSerializer(serializers.Serializer[BilingualName]):
    """Something with a code and a name in the language asked for."""

    code = serializers.CharField()
    name = serializers.CharField(source="local_name")


class MeasureSerializer(serializers.Serializer[Any]):
    """How far one measure of the next tier is; any one of them is enough."""

    kind = serializers.ChoiceField(choices=["amount", "stays", "nights"])
    done = serializers.DecimalField(max_digits=16, decimal_places=2)
    needed = serializers.DecimalField(max_digits=16, decimal_places=2)
    missing = serializers.DecimalField(max_digits=16, decimal_places=2)
    percent = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer[TierProgress]):
    """The way to the next tier."""

    tier = NamedSerializer()
    percent = serializers.IntegerField()
    sentence = serializers.CharField()
    measures = MeasureSerializer(many=True)


class OwnMembershipSerializer(serializers.Serializer[MemberSummary]):
    """One membership of the guest at a glance."""

    number = serializers.CharField()
    programme = NamedSerializer(source="membership.programme")
    status = serializers.CharField(source="membership.status")
    tier = NamedSerializer()
    tier_since_date = serializers.DateField()
    available = serializers.IntegerField()
    pending = serializers.IntegerField()
    next_tier = ProgressSerializer(allow_null=True)
    benefits = serializers.ListField(child=serializers.CharField())


class OwnProfileSerializer(serializers.ModelSerializer[Guest]):
    """The guest's own profile, identities masked, with all memberships."""

    id = serializers.UUIDField(source="public_id")
    identities = OwnIdentitySerializer(many=True)
    memberships = OwnMembershipSerializer(many=True)

    class Meta:
        model = Guest
        fields = ["id", "name", "gender", "birthday", "nationality", "language", "company", "identities", "memberships"]


class ExpiringSerializer(serializers.Serializer[Any]):
    """Points that can be used up to and including a day."""

    expires_on = serializers.DateField()
    points = serializers.IntegerField()


class OwnPointsSerializer(serializers.Serializer[Any]):
    """The balances of one membership."""

    number = serializers.CharField()
    programme = NamedSerializer(source="membership.programme")
    available = serializers.IntegerField(help_text="Can be spent today.")
    pending = serializers.IntegerField(help_text="Waits for its release after the stay.")
    held = serializers.IntegerField(help_text="Set aside.")
    debt = serializers.IntegerField(help_text="Repaid first by later points.")
    expiring = ExpiringSerializer(many=True)


class OwnPostingSerializer(serializers.ModelSerializer[Posting]):
    """One movement of the guest's points."""

    property = PlaceSerializer(allow_null=True)
    explanation = serializers.SerializerMethodField(help_text="One sentence in the language asked for.")

    class Meta:
        model = Posting
        fields = [
            "seq",
            "kind",
            "points",
            "available_after",
            "pending_after",
            "debt_after",
            "business_date",
            "occurred_at",
            "property",
            "explanation",
        ]

    def get_explanation(self, posting: Posting) -> str:
        """What happened and why."""
        return sentence_of(posting)


class GuestReferenceSerializer(StrictSerializer):
    """Whose stay it is: by membership number or by phone."""

    membership_number = serializers.CharField(max_length=40, required=False)
    phone = serializers.CharField(max_length=40, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take exactly one of the two."""
        if len(attrs) != 1:
            msg = "Give either membership_number or phone."
            raise serializers.ValidationError(msg, code="one_required")
        return attrs


class FolioLineWriteSerializer(StrictSerializer):
    """One charge of the folio, in the stay's currency."""

    reference = serializers.CharField(max_length=40, help_text="The line's number in your system; unique on the folio.")
    business_date = serializers.DateField()
    category = serializers.ChoiceField(choices=[str(value) for value in RevenueCategory.values])
    net_amount = serializers.DecimalField(max_digits=14, decimal_places=2, help_text="Tax excluded; negative: rebate.")
    tax_amount = serializers.DecimalField(max_digits=14, decimal_places=2, required=False)
    description = serializers.CharField(max_length=120, required=False, allow_blank=True)
    is_eligible = serializers.BooleanField(required=False, help_text="Whether it may earn points; default true.")


class StayWriteSerializer(StrictSerializer):
    """A finished stay with its folio."""

    property = serializers.CharField(max_length=20, help_text="Code of the property.")
    source_system = serializers.SlugField(max_length=40, help_text="Your system, such as `opera`.")
    source_reference = serializers.CharField(max_length=80, help_text="The stay's number in your system.")
    guest = GuestReferenceSerializer(
        required=False, allow_null=True, help_text="Left out: the stay is kept until a guest claims it."
    )
    arrival_date = serializers.DateField()
    departure_date = serializers.DateField(help_text="Not a night stayed.")
    room_number = serializers.CharField(max_length=10, required=False, allow_blank=True)
    room_type = serializers.CharField(max_length=20, required=False, allow_blank=True, help_text="Code.")
    rate_plan = serializers.CharField(max_length=40, required=False, allow_blank=True)
    channel = serializers.CharField(max_length=40, required=False, allow_blank=True)
    market_segment = serializers.CharField(max_length=40, required=False, allow_blank=True)
    is_group = serializers.BooleanField(required=False, help_text="Whether it belongs to the booking of a group.")
    currency = serializers.CharField(
        required=False, validators=[currency_validator], help_text="ISO 4217; default: the property's."
    )
    lines = FolioLineWriteSerializer(many=True, max_length=500)  # type: ignore[call-arg]


class AwardedPartSerializer(serializers.Serializer[Any]):
    """Points of the folio lines that one earning rule applied to."""

    rule = serializers.CharField(source="name")
    rate = serializers.CharField(help_text="Points per unit, or the multiple of the base points.")
    lines = serializers.ListField(child=serializers.CharField(), help_text="References of the folio lines.")
    amount = serializers.CharField(help_text="Net amount that earned, in the stay's currency.")
    points = serializers.IntegerField()


class AwardSerializer(serializers.Serializer[Any]):
    """What the stay brought in one programme."""

    programme = serializers.CharField()
    membership_number = serializers.CharField()
    points = serializers.IntegerField()
    pending_until = serializers.DateField(allow_null=True)
    explanation = serializers.CharField()
    parts = AwardedPartSerializer(many=True)


class StayReadSerializer(serializers.Serializer[Any]):
    """The stored stay and its points."""

    id = serializers.UUIDField()
    property = serializers.CharField()
    source_system = serializers.CharField()
    source_reference = serializers.CharField()
    status = serializers.CharField()
    is_claimed = serializers.BooleanField(help_text="Whether the stay has a guest.")
    nights = serializers.IntegerField()
    net_total = serializers.DecimalField(max_digits=14, decimal_places=2)
    currency = serializers.CharField()
    awards = AwardSerializer(many=True)
