"""Minimal rows for tests. Services make guests, members and points; these make what they stand on."""

import datetime as dt
import itertools
from decimal import Decimal
from zoneinfo import ZoneInfo

from feedback.models import Shift
from hotels.models import Brand, Department, HotelGroup, Property, Role, RoomType, StaffAssignment, User
from loyalty.models import EarningRule, EarningRuleSet, Membership, Programme, Reward, Tier, TierCriteria, VoucherType
from loyalty.services.ledger import earn_points
from loyalty.services.memberships import enrol_member
from members.models import Guest
from members.services.guests import create_guest

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 6, 15, 12, 0, tzinfo=SHANGHAI)
PASSWORD = "correct-horse-battery"

_number = itertools.count(1)


def make_group() -> HotelGroup:
    """The hotel group, made once."""
    return HotelGroup.objects.first() or HotelGroup.objects.create(name="云栖酒店集团", name_en="Yunqi Hotels")


def make_brand(code: str = "YQ") -> Brand:
    """A brand of the group."""
    return Brand.objects.get_or_create(
        code=code, defaults={"group": make_group(), "name": f"品牌{code}", "name_en": f"Brand {code}"}
    )[0]


def make_property(code: str = "", *, brand: Brand | None = None, **fields: object) -> Property:
    """A property in Shanghai that charges in yuan."""
    code = code or f"H{next(_number)}"
    return Property.objects.create(
        **{
            "brand": brand or make_brand(),
            "code": code,
            "name": f"酒店{code}",
            "name_en": f"Hotel {code}",
            **fields,
        }
    )


def make_department(place: Property, code: str = "FO") -> Department:
    """A department."""
    return Department.objects.create(property=place, code=code, name="前厅部", name_en="Front office")


def make_room_type(place: Property, code: str = "KING") -> RoomType:
    """A room type."""
    return RoomType.objects.create(property=place, code=code, name="豪华大床房", name_en="Deluxe King")


def make_staff(
    role: str = Role.RECEPTIONIST,
    *,
    place: Property | None = None,
    brand: Brand | None = None,
    group: HotelGroup | None = None,
    username: str = "",
    **fields: object,
) -> User:
    """A user with one assignment; without a scope it is the whole group."""
    user = User.objects.create_user(username=username or f"staff{next(_number)}", password=PASSWORD, **fields)
    if place is None and brand is None and group is None:
        group = make_group()
    StaffAssignment.objects.create(user=user, role=role, property=place, brand=brand, group=group)
    return user


def at_least(*, every: bool = False, **needed: object) -> dict[str, object]:
    """Conditions of a tier: any of some figures is enough, or every one is needed."""
    leaves = [{"field": field, "op": "gte", "value": value} for field, value in needed.items()]
    return {"all" if every else "any": leaves}


def make_programme(code: str = "", **fields: object) -> Programme:
    """A programme with four tiers and 1 / 1 / 1.5 / 2 points per yuan, in force since 2020."""
    programme = Programme.objects.create(
        **{
            "code": code or f"P{next(_number)}",
            "name": "归客会",
            "name_en": "Guike Club",
            "expiry_months": 24,
            "number_prefix": "GK",
            **fields,
        }
    )
    start = dt.date(2020, 1, 1)
    tiers = [
        ("base", "普通", "Member", None, None, "1"),
        ("silver", "银卡", "Silver", "5000", 5, "1"),
        ("gold", "金卡", "Gold", "10000", 10, "1.5"),
        ("diamond", "钻石", "Diamond", "20000", 20, "2"),
    ]
    rules = []
    for rank, (tier_code, name, name_en, amount, stays, rate) in enumerate(tiers):
        tier = Tier.objects.create(programme=programme, code=tier_code, name=name, name_en=name_en, rank=rank)
        if amount:
            TierCriteria.objects.create(
                tier=tier, effective_from=start, conditions=at_least(amount=amount, stays=stays)
            )
        rules.append(base_rule(tier_code, rate, name=f"{name} {rate}"))
    publish_rules(programme, *rules, start=start)
    return programme


def base_rule(tier: str = "", rate: str = "1", **fields: object) -> EarningRule:
    """Points per yuan for a tier, of the group of base rules; not stored yet."""
    code = f"base-{tier}" if tier else "base"
    return EarningRule(
        **{
            "code": code,
            "name": code,
            "currency": "CNY",
            "value": Decimal(rate),
            "condition": {"all": [{"field": "member.tier", "op": "in", "value": [tier]}] if tier else []},
            "is_base": True,
            "is_qualifying": True,
            "stacking": EarningRule.Stacking.EXCLUSIVE,
            "group": "base",
            **fields,
        }
    )


def publish_rules(programme: Programme, *rules: EarningRule, start: dt.date = dt.date(2020, 1, 1)) -> EarningRuleSet:
    """A published version of the programme's rules, whatever has begun already."""
    number = programme.earning_rule_sets.count() + 1
    rule_set = EarningRuleSet.objects.create(programme=programme, number=number, name=f"V{number}", created_at=NOW)
    for rule in rules:
        rule.rule_set = rule_set
        rule.full_clean()
        rule.save()
    rule_set.status = EarningRuleSet.Status.PUBLISHED
    rule_set.effective_from = start
    rule_set.published_at = NOW
    rule_set.save()
    return rule_set


def make_reward(programme: Programme, *, points: int = 2000, code: str = "") -> Reward:
    """A reward of the catalogue."""
    return Reward.objects.create(
        programme=programme,
        code=code or f"reward-{next(_number)}",
        name="行政酒廊下午茶",
        name_en="Lounge afternoon tea",
        category=Reward.Category.FOOD,
        points=points,
    )


def make_voucher_type(programme: Programme, **fields: object) -> VoucherType:
    """A hundred yuan off anywhere, for a month from the issue, combined with anything."""
    return VoucherType.objects.create(
        **{
            "programme": programme,
            "code": f"voucher-{next(_number)}",
            "name": "百元代金券",
            "name_en": "CNY 100 voucher",
            "kind": VoucherType.Kind.AMOUNT,
            "amount": Decimal(100),
            "currency": "CNY",
            "valid_days": 30,
            "is_stackable": True,
            **fields,
        }
    )


def make_guest(name: str = "陈思远", **fields: object) -> Guest:
    """A bare guest row; use `members.services.guests.create_guest` where identities matter."""
    return Guest.objects.create(name=name, **fields)


def make_membership(programme: Programme, guest: Guest | None = None, *, tier: str = "base") -> Membership:
    """A bare membership row without ledger account; use `enrol_member` where points matter."""
    return Membership.objects.create(
        programme=programme,
        guest=guest or make_guest(),
        number=f"GK{next(_number):08d}",
        tier=programme.tiers.get(code=tier),
        tier_since_date=NOW.date(),
        enrolled_at=NOW,
    )


def make_member(
    programme: Programme, *, name: str = "陈思远", phone: str = "", points: int = 0, place: Property | None = None
) -> Membership:
    """A member through the services, with a phone if given and with points that can be spent."""
    guest = create_guest(actor=None, now=NOW, name=name, phone=phone, place=place, source="test")
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk, place=place)
    if points:
        earn_points(
            actor=None,
            now=NOW,
            points=points,
            membership_id=membership.pk,
            pending_until=None,
            expires_on=None,
            reason="opening balance",
        )
    return membership


def make_shift(user: User, department: Department, *, start: dt.datetime = NOW, hours: float = 8, **fields: object):
    """A shift of an agent that begins an hour before `start`."""
    starts_at = start - dt.timedelta(hours=1)
    values = {"property": department.property, "department": department, **fields}
    return Shift.objects.create(user=user, starts_at=starts_at, ends_at=starts_at + dt.timedelta(hours=hours), **values)
