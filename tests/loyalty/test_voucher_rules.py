"""Codes are read as people type them and typing errors are found; a voucher may be used or not, for a stated reason."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.vouchers import (
    ALPHABET,
    CODE_LENGTH,
    RANDOM_LENGTH,
    CodeError,
    Refusal,
    Terms,
    Use,
    amount_off,
    code_of,
    last_day,
    mask_code,
    parse_code,
    spell_code,
    why_not,
)

codes = st.binary(min_size=RANDOM_LENGTH, max_size=RANDOM_LENGTH).map(code_of)
between = st.sampled_from(["", " ", "-", "–", "　", "_", "  ", "－"])
TYPED_AS = {"0": "0Oo", "1": "1IiLl"}
FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}


@st.composite
def typed_codes(draw):
    """A code and one of the ways somebody types it."""
    code = draw(codes)
    text = ""
    for character in code:
        form = draw(st.sampled_from(TYPED_AS.get(character, character + character.lower())))
        text += draw(between) + (FULL_WIDTH[form] if draw(st.booleans()) else form)
    return code, text + draw(between)


@given(typed_codes())
def test_a_code_is_read_however_it_is_typed(pair):
    code, text = pair

    assert parse_code(text) == code


@given(codes)
def test_a_code_is_spelled_in_groups_and_read_back(code):
    spelled = spell_code(code)

    assert [len(group) for group in spelled.split("-")] == [5, 5, 5]
    assert parse_code(spelled) == code


@given(codes, st.integers(0, CODE_LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_found(code, place, character):
    wrong = code[:place] + character + code[place + 1 :]

    assert wrong == code or refusal_of(wrong) == "wrong_check"


@given(codes, st.integers(0, CODE_LENGTH - 1), st.integers(0, CODE_LENGTH - 1))
def test_two_exchanged_characters_are_always_found(code, first, second):
    characters = list(code)
    characters[first], characters[second] = characters[second], characters[first]
    wrong = "".join(characters)

    assert wrong == code or refusal_of(wrong) == "wrong_check"


@given(st.text(max_size=40))
def test_anything_else_is_refused_or_a_well_formed_code(text):
    outcome = refusal_of(text)

    assert outcome in {"empty", "wrong_length", "wrong_character", "wrong_check", None}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "empty", "输入或扫描"),
        (" - ", "empty", "输入或扫描"),
        ("ABC", "wrong_length", "15"),
        ("U" * 15, "wrong_character", "U"),
        ("7K2QM-40XZP-9TBW!", "wrong_character", "!"),
        ("😀" * 15, "wrong_character", "😀"),
    ],
)
def test_what_is_no_code_is_refused_in_words(text, code, words):
    with pytest.raises(CodeError) as refused:
        parse_code(text)

    assert refused.value.code == code
    assert words in refused.value.message


def test_a_masked_code_shows_four_characters():
    assert mask_code("0123456789ABCDE") == "•••• BCDE"


@pytest.mark.django_db
def test_the_database_makes_the_same_codes():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b, loyalty_voucher_code(b) FROM (SELECT uuid_send(gen_random_uuid()) AS b"
            " FROM generate_series(1, 1000) OFFSET 0) r"
        )
        rows = [(bytes(random), code) for random, code in cursor.fetchall()]

    assert [code for _random, code in rows] == [code_of(random[:6] + random[7:15]) for random, _code in rows]
    assert {parse_code(code) for _random, code in rows} == {code for _random, code in rows}
    # Every place takes every character: none of the bits used is one of the constant ones of a UUID.
    assert {len({code[place] for _random, code in rows}) for place in range(CODE_LENGTH)} == {32}


def refusal_of(text):
    try:
        parse_code(text)
    except CodeError as error:
        return error.code
    return None


# Whether it may be used

DAY = dt.date(2026, 6, 15)  # a Monday
TERMS = Terms(kind="amount", amount=Decimal(100), currency="CNY", is_stackable=True)
USE = Use(
    state="issued",
    valid_from=DAY,
    expires_on=DAY,
    today=DAY,
    local_date=DAY,
    property_id=1,
    brand_id=1,
    currency="CNY",
)
ONE_DAY = dt.timedelta(days=1)


def test_a_voucher_may_be_used_on_its_only_day():
    assert why_not(TERMS, USE) is None


@pytest.mark.parametrize(
    ("terms", "use", "code"),
    [
        ({}, {"state": "redeemed"}, "redeemed"),
        ({}, {"state": "canceled"}, "canceled"),
        ({}, {"state": "expired"}, "expired"),
        ({}, {"today": DAY + ONE_DAY}, "expired"),
        ({}, {"today": DAY - ONE_DAY}, "not_yet_valid"),
        ({"property_ids": frozenset({2})}, {}, "other_property"),
        ({"brand_ids": frozenset({2})}, {}, "other_property"),
        ({"property_ids": frozenset({2}), "brand_ids": frozenset({1})}, {}, None),
        ({"property_ids": frozenset({1}), "brand_ids": frozenset({2})}, {}, None),
        ({}, {"currency": "THB"}, "other_currency"),
        ({"kind": "item", "amount": None, "currency": ""}, {"currency": "THB"}, None),
        ({"weekdays": frozenset({1})}, {}, None),
        ({"weekdays": frozenset({2, 3})}, {}, "weekday"),
        ({"weekdays": frozenset({1})}, {"local_date": DAY + ONE_DAY}, "weekday"),
        ({"blackouts": [(DAY - ONE_DAY, DAY)]}, {}, "blackout"),
        ({"blackouts": [(DAY, DAY + ONE_DAY)]}, {}, "blackout"),
        ({"blackouts": [(DAY + ONE_DAY, DAY + ONE_DAY)]}, {}, None),
        ({}, {"owner_id": 1, "presenter_id": 2}, "foreign_member"),
        ({}, {"owner_id": 1}, "member_required"),
        ({}, {"owner_id": 1, "presenter_id": 1}, None),
        ({"is_transferable": True}, {"owner_id": 1, "presenter_id": 2}, None),
        ({"is_transferable": True}, {"owner_id": 1}, None),
        ({}, {"presenter_id": 2}, None),
        ({}, {"presenter_id": 2, "presenter_is_active": False}, "member_inactive"),
        ({"min_rank": 2}, {}, "member_required"),
        ({"min_rank": 2}, {"presenter_id": 1, "presenter_rank": 1}, "tier_too_low"),
        ({"min_rank": 2}, {"presenter_id": 1, "presenter_rank": 2}, None),
        ({"kind": "percent", "percent": Decimal(20)}, {}, "spend_required"),
        ({"min_spend": Decimal(500)}, {}, "spend_required"),
        ({"min_spend": Decimal(500)}, {"spend": Decimal("499.99")}, "below_minimum_spend"),
        ({"min_spend": Decimal(500)}, {"spend": Decimal(500)}, None),
        ({"is_stackable": False}, {}, "reference_required"),
        ({"is_stackable": False}, {"reference": "F1"}, None),
        ({"is_stackable": False}, {"reference": "F1", "others": [True]}, "not_stackable"),
        ({}, {"reference": "F1", "others": [True, False]}, "not_stackable"),
        ({}, {"reference": "F1", "others": [True, True]}, None),
    ],
)
def test_the_reason_against_a_use_is_told(terms, use, code):
    refusal = why_not(replace(TERMS, **terms), replace(USE, **use))

    assert (refusal and refusal.code) == code
    assert refusal is None or refusal.message


def test_a_refusal_says_what_is_missing():
    refusal = why_not(replace(TERMS, min_spend=Decimal(500)), replace(USE, spend=Decimal(380)))

    assert refusal.message == "最低消费 ¥500.00，当前 ¥380.00，还差 ¥120.00。"


def test_what_can_be_entered_at_the_desk_is_no_final_refusal():
    assert not Refusal("spend_required").is_final
    assert Refusal("redeemed").is_final


money = st.decimals(0, 100_000, places=2)


@given(
    kind=st.sampled_from(["amount", "percent"]),
    amount=st.none() | st.decimals("0.01", 5000, places=2),
    percent=st.decimals("0.01", 100, places=2),
    spend=money,
    digits=st.sampled_from([0, 2]),
)
def test_a_voucher_never_takes_off_more_than_the_spend_or_its_worth(kind, amount, percent, spend, digits):
    terms = Terms(kind=kind, amount=amount, percent=percent if kind == "percent" else None, currency="CNY")

    off = amount_off(terms, spend, digits=digits)

    if off is not None:
        assert 0 <= off <= spend
        assert amount is None or off <= amount
    else:
        assert (kind, amount) == ("amount", None)


@pytest.mark.parametrize(
    ("terms", "spend", "off"),
    [
        ({"kind": "percent", "percent": Decimal(20), "amount": None}, "99.99", "20.00"),
        ({"kind": "percent", "percent": Decimal("12.5"), "amount": None}, "0.04", "0.01"),
        ({"kind": "percent", "percent": Decimal(20), "amount": Decimal(50)}, "1000", "50"),
        ({"kind": "amount"}, "80", "80"),
        ({"kind": "amount"}, None, "100"),
        ({"kind": "percent", "percent": Decimal(20)}, None, None),
        ({"kind": "room_night", "amount": None}, "80", None),
    ],
)
def test_what_is_taken_off(terms, spend, off):
    result = amount_off(replace(TERMS, **terms), None if spend is None else Decimal(spend))

    assert result == (None if off is None else Decimal(off))


@pytest.mark.parametrize(
    ("expires_on", "days", "valid_from", "last"),
    [
        (None, None, DAY, None),
        (DAY, None, DAY, DAY),
        (None, 30, DAY, DAY + dt.timedelta(days=30)),
        (DAY + ONE_DAY, 30, DAY, DAY + ONE_DAY),
        (DAY + dt.timedelta(days=90), 30, DAY, DAY + dt.timedelta(days=30)),
        (None, 30, DAY + ONE_DAY, DAY + dt.timedelta(days=31)),
        (None, 0, DAY, DAY),
    ],
)
def test_the_last_day_is_whichever_end_comes_first(expires_on, days, valid_from, last):
    assert last_day(issued=DAY, type_expires_on=expires_on, days=days, valid_from=valid_from) == last
