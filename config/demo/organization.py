"""The demo group: brands, properties, departments, room types and accounts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from config.demo.logins import LOGINS, PASSWORD
from hotels.models import (
    Brand,
    Department,
    ExchangeRate,
    HotelGroup,
    Property,
    RoomType,
    StaffAssignment,
    User,
)

BRANDS = {"YQ": ("云栖", "Yunqi"), "YQX": ("云栖悦选", "Yunqi Select"), "SZ": ("山止度假", "Shanzhi Resorts")}
# code: brand, Chinese name, English name, city, country, time zone, currency
PROPERTIES = {
    "SHBD": ("YQ", "云栖上海外滩酒店", "Yunqi Shanghai Bund", "上海", "CN", "Asia/Shanghai", "CNY"),
    "BJCBD": ("YQ", "云栖北京国贸酒店", "Yunqi Beijing CBD", "北京", "CN", "Asia/Shanghai", "CNY"),
    "HZXH": ("SZ", "山止杭州西湖度假酒店", "Shanzhi Hangzhou West Lake", "杭州", "CN", "Asia/Shanghai", "CNY"),
    "CDTF": ("YQX", "云栖悦选成都天府店", "Yunqi Select Chengdu Tianfu", "成都", "CN", "Asia/Shanghai", "CNY"),
    "GZTH": ("YQX", "云栖悦选广州天河店", "Yunqi Select Guangzhou Tianhe", "广州", "CN", "Asia/Shanghai", "CNY"),
    "SYYL": ("SZ", "山止三亚亚龙湾度假酒店", "Shanzhi Sanya Yalong Bay", "三亚", "CN", "Asia/Shanghai", "CNY"),
    "BKSV": ("YQ", "云栖曼谷素坤逸酒店", "Yunqi Bangkok Sukhumvit", "曼谷", "TH", "Asia/Bangkok", "THB"),
}
DEPARTMENTS = {
    "FO": ("前厅部", "Front office"),
    "HK": ("客房部", "Housekeeping"),
    "FB": ("餐饮部", "Food and beverage"),
    "ENG": ("工程部", "Engineering"),
    "GR": ("宾客关系部", "Guest relations"),
}
ROOM_TYPES = {
    "KING": ("豪华大床房", "Deluxe King"),
    "TWIN": ("豪华双床房", "Deluxe Twin"),
    "CLUB": ("行政大床房", "Club King"),
    "SUITE": ("行政套房", "Executive Suite"),
}
# Yuan for one baht, a round figure of recent years.
THB_IN_CNY = Decimal("0.21")


def make_organization(*, today: dt.date) -> list[Property]:
    """Create the group with everything that belongs to a property; rates hold from three years back."""
    group = HotelGroup.objects.create(name="云栖酒店集团", name_en="Yunqi Hotel Group", phone="400-800-2026")
    brands = {
        code: Brand.objects.create(group=group, code=code, name=name, name_en=name_en)
        for code, (name, name_en) in BRANDS.items()
    }
    places = [
        Property.objects.create(
            code=code, brand=brands[brand], name=name, name_en=name_en, city=city, country=country,
            time_zone=zone, currency=currency,
        )
        for code, (brand, name, name_en, city, country, zone, currency) in PROPERTIES.items()
    ]  # fmt: skip
    Department.objects.bulk_create(
        Department(property=place, code=code, name=name, name_en=name_en)
        for place in places
        for code, (name, name_en) in DEPARTMENTS.items()
    )
    RoomType.objects.bulk_create(
        RoomType(property=place, code=code, name=name, name_en=name_en)
        for place in places
        for code, (name, name_en) in ROOM_TYPES.items()
    )
    ExchangeRate.objects.create(
        currency="THB", to_currency="CNY", effective_from=today - dt.timedelta(days=3 * 366), rate=THB_IN_CNY
    )
    return places


def make_logins(places: list[Property]) -> dict[str, User]:
    """Create one account for each role, by user name; those of one property work at the first."""
    home = places[0]
    users = {}
    for login in LOGINS:
        user = User.objects.create_user(username=login.username, password=PASSWORD, display_name=login.display_name)
        StaffAssignment.objects.create(
            user=user,
            role=login.role,
            group=home.brand.group if login.scope == "group" else None,
            brand=home.brand if login.scope == "brand" else None,
            property=home if login.scope == "property" else None,
        )
        users[login.username] = user
    return users
