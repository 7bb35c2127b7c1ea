import contextlib
import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members.rules.identity import (
    DOCUMENT_TYPES,
    IdentityError,
    guess_document_type,
    id_card_birthday,
    id_card_check_character,
    id_card_gender,
    mask,
    normalize_document,
    normalize_email,
    normalize_membership_number,
    normalize_phone,
)

chinese_mobiles = st.builds(
    "{}{:04d}{:04d}".format,
    st.sampled_from(["130", "135", "138", "150", "159", "177", "186", "199"]),
    st.integers(0, 9998),
    st.integers(0, 9999),
).filter(lambda number: len(set(number[-8:])) > 1)


@pytest.mark.parametrize(
    "raw",
    [
        "13800138000",
        " 138 0013 8000 ",
        "138-0013-8000",
        "１３８００１３８０００",
        "13800138000.0",
        "13800138000.00",
        "'13800138000",
        "+8613800138000",
        "+86 138 0013 8000",
        "(+86)13800138000",
        "＋86-138-0013-8000",
        "008613800138000",
        "0086 13800138000",
        "8613800138000",
        "86 13800138000",
        "013800138000",
        "\u202a13800138000\u202c",
    ],
)
def test_one_mobile_number_has_one_normal_form(raw):
    assert normalize_phone(raw) == "+8613800138000"


@pytest.mark.parametrize(
    ("raw", "region", "normal"),
    [
        ("010-62345678", "CN", "+861062345678"),
        ("021 6234 5678转123", "CN", "+862162345678"),
        ("400-810-1234", "CN", "+864008101234"),
        ("+1 (212) 555-2368", "CN", "+12125552368"),
        ("0033 1 42 68 53 00", "CN", "+33142685300"),
        ("+852 6123 4567", "CN", "+85261234567"),
        ("03-3580-3311", "JP", "+81335803311"),
    ],
)
def test_fixed_and_foreign_numbers(raw, region, normal):
    assert normalize_phone(raw, region) == normal


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("1.38E+10", "phone_rounded"),
        ("1380013800", "phone_length"),
        ("138001380001", "phone_length"),
        ("11111111111", "phone_placeholder"),
        ("13800000000", "phone_placeholder"),
        ("12345678901", "phone_invalid"),
        ("张三", "phone_invalid"),
        ("", "phone_invalid"),
        ("13800138000/13900139000", "phone_invalid"),
        ("+86 86 13800138000", "phone_invalid"),
    ],
)
def test_what_is_no_phone_says_why(raw, code):
    with pytest.raises(IdentityError) as caught:
        normalize_phone(raw)

    assert caught.value.code == code
    assert caught.value.message


def test_a_short_number_says_how_many_digits_it_has():
    with pytest.raises(IdentityError, match="phone_length") as caught:
        normalize_phone("1380013800")

    assert "10" in caught.value.message


@given(chinese_mobiles, st.sampled_from(["", "+86", "0086", "86", "+86 ", "0"]), st.sampled_from(["", ".0"]))
def test_prefixes_and_a_trailing_zero_change_nothing(number, prefix, suffix):
    assert normalize_phone(prefix + number + suffix) == "+86" + number


@given(chinese_mobiles)
def test_normalizing_again_changes_nothing(number):
    assert normalize_phone(normalize_phone(number)) == "+86" + number


@given(chinese_mobiles)
def test_a_masked_phone_hides_the_middle(number):
    masked = mask("phone", "+86" + number)

    assert masked == f"{number[:3]} **** {number[-4:]}"
    assert number not in masked


@given(st.text(max_size=40) | st.text(alphabet="0123456789+- ().eE转", max_size=20))
def test_any_text_is_a_phone_or_an_identity_error(raw):
    with contextlib.suppress(IdentityError):
        assert re.fullmatch(r"\+\d+", normalize_phone(raw), re.ASCII)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (" Chen.Siyuan@Example.COM ", "chen.siyuan@example.com"),
        ("ｃｈｅｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "chen@example.com"),
        ("mailto:a+b@mail.example.cn", "a+b@mail.example.cn"),
        ("陈@例子.中国", "陈@例子.中国"),
    ],
)
def test_email(raw, normal):
    assert normalize_email(raw) == normal


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("chen", "email_invalid"),
        ("chen@", "email_invalid"),
        ("chen@example", "email_invalid"),
        ("a..b@example.com", "email_invalid"),
        ("a b@example.com", "email_invalid"),
        ("x" * 250 + "@example.com", "email_invalid"),
        ("abc.123@guest.booking.com", "email_relay"),
        ("x@guest.airbnb.com", "email_relay"),
    ],
)
def test_what_is_no_email_says_why(raw, code):
    with pytest.raises(IdentityError, match=code):
        normalize_email(raw)


# Examples of GB 11643-1999, annex.
@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_examples_of_the_id_card_standard(number):
    assert normalize_document("id_card", number) == number
    assert id_card_check_character(number[:17]) == number[17]


@pytest.mark.parametrize(
    "raw", ["11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", "110105 19491231 002X", "110105491231002"]
)
def test_spellings_of_an_id_card_number(raw):
    assert normalize_document("id_card", raw) == "11010519491231002X"


def test_facts_in_an_id_card_number():
    assert id_card_birthday("11010519491231002X") == dt.date(1949, 12, 31)
    assert id_card_gender("11010519491231002X") == "female"
    assert id_card_gender("440524188001010014") == "male"


@pytest.mark.parametrize(
    ("document_type", "raw", "code"),
    [
        ("id_card", "110105194912310021", "id_card_checksum"),
        ("id_card", "110105194912310000", "document_rounded"),
        ("id_card", "5.10322E+17", "document_rounded"),
        ("id_card", "11010519491331002X", "id_card_birthday"),
        ("id_card", "1101051949", "id_card_length"),
        ("passport", "E12", "document_invalid"),
        ("passport", "护照", "document_invalid"),
        ("library_card", "E12345678", "document_type_unknown"),
    ],
)
def test_what_is_no_document_number_says_why(document_type, raw, code):
    with pytest.raises(IdentityError, match=code):
        normalize_document(document_type, raw)


@given(
    st.integers(110_000, 659_999), st.dates(dt.date(1900, 1, 1), dt.date(2026, 1, 1)), st.integers(0, 999), st.data()
)
def test_one_wrong_digit_never_fits_the_check_character(region, birthday, sequence, data):
    seventeen = f"{region}{birthday:%Y%m%d}{sequence:03d}"
    number = seventeen + id_card_check_character(seventeen)
    position = data.draw(st.integers(0, 16))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != number[position]]))

    assert normalize_document("id_card", number) == number
    with pytest.raises(IdentityError):
        normalize_document("id_card", number[:position] + other + number[position + 1 :])


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("11010519491231002x", "id_card"), ("E12345678", "passport"), ("EA1234567", "passport"), ("H12345678", "other")],
)
def test_guessed_document_type(raw, kind):
    assert guess_document_type(raw) == kind
    assert kind in DOCUMENT_TYPES


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("phone", "+8613800138000", "138 **** 8000"),
        ("phone", "+12125552368", "+121 **** 2368"),
        ("email", "chen@example.com", "c***@example.com"),
        ("document", "11010519491231002X", "110***********002X"),
        ("document", "E12345678", "E1*****78"),
        ("document", "AB12", "A**2"),
        ("wechat_openid", "oGZUI0egBJY1zhBYw2KhdUfwVJJE", "oGZU***"),
        ("membership", "GK00000123", "GK00000123"),
    ],
)
def test_masks(kind, value, masked):
    assert mask(kind, value) == masked


def test_membership_numbers_ignore_case_and_white_space():
    assert normalize_membership_number(" gk 0012 3 ") == "GK00123"
