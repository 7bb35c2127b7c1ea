"""What is said."""

import datetime as dt
from decimal import Decimal

import pytest

from loyalty.models import VoucherBlackout
from loyalty.rules.vouchers import spell_code
from loyalty.selectors.vouchers import conditions_of, find_voucher, qr_code, worth_of
from tests.factories import (
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import issue

pytestmark = pytest.mark.django_db


def test_codes_are_found_as_typed(voucher_type):
    voucher = issue(voucher_type)

    assert find_voucher(spell_code(voucher.code).lower().replace("0", "o").replace("1", "l")) == voucher
    assert find_voucher("000000000000000") is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "立减 ¥100"),
        ({"kind": "percent", "percent": Decimal(20), "amount": None}, "立减 20%"),
        ({"kind": "percent", "percent": Decimal("12.5"), "amount": Decimal(80)}, "立减 12.5%，最高 ¥80"),
        ({"kind": "room_night", "amount": None}, "免费房晚"),
    ],
)
def test_the_worth_is_said_in_words(programme, fields, words):
    assert worth_of(make_voucher_type(programme, **fields)) == words


def test_the_conditions_are_said_in_words(programme, place):
    voucher_type = make_voucher_type(
        programme, min_spend=500, weekdays=[1, 2], min_tier=programme.tiers.get(code="gold"), is_stackable=False
    )
    voucher_type.properties.add(place)
    VoucherBlackout.objects.create(type=voucher_type, first_date=dt.date(2026, 10, 1), last_date=dt.date(2026, 10, 7))
    voucher_type.refresh_from_db()

    assert conditions_of(voucher_type) == [
        "消费满 ¥500 可用",
        f"仅限{place.name}",
        "仅限周一、周二",
        "2026-10-01 至 2026-10-07 不可用",
        "金卡及以上会员可用",
        "不可转赠",
        "不可与其他券同时使用",
    ]


def test_the_qr_code_is_an_svg_without_styles():
    svg = qr_code("7K2QM40XZP9TBWD")

    assert svg.startswith("<svg ")
    # 21 modules and four on each side: a whole QR code; cameras of telephones do not read the smaller Micro QR.
    assert 'viewBox="0 0 116 116"' in svg
    assert "style" not in svg
    assert "<script" not in svg
