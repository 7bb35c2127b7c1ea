"""What the database keeps."""

import pytest
from django.db import IntegrityError, connection, transaction

from loyalty.models import Voucher, VoucherBatch, VoucherBlackout, VoucherType
from loyalty.selectors.verification import missing_guards
from loyalty.services.vouchers import (
    run_batch,
)
from tests.factories import (
    NOW,
    make_property,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import DAY, TODAY, issue, order, redeem

pytestmark = pytest.mark.django_db


def refused_by_database(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(statement, params)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loyalty_voucher SET state = 'redeemed' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'canceled' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'expired' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'lost' WHERE id = %s",
        "UPDATE loyalty_voucher SET code = '000000000000000' WHERE id = %s",
        "UPDATE loyalty_voucher SET expires_on = NULL WHERE id = %s",
        "UPDATE loyalty_voucher SET membership_id = NULL WHERE id = %s",
        "UPDATE loyalty_voucher SET folio_reference = 'F' WHERE id = %s",
        "DELETE FROM loyalty_voucher WHERE id = %s",
        "UPDATE loyalty_voucherevent SET reason = 'x' WHERE voucher_id = %s",
        "DELETE FROM loyalty_voucherevent WHERE voucher_id = %s",
        "TRUNCATE loyalty_voucherevent, loyalty_voucher CASCADE -- %s",
        (
            "INSERT INTO loyalty_voucher (public_id, code, type_id, state, source, source_reference, issued_at, valid_from,"
            " folio_reference) SELECT gen_random_uuid(), '000000000000000', type_id, 'issued', 'manual', '', now(), '2026-01-01',"
            " '' FROM loyalty_voucher WHERE id = %s"
        ),
    ],
)
def test_the_database_refuses_to_alter_what_was_issued(voucher_type, member, statement):
    voucher = issue(voucher_type, member)

    refused_by_database(statement, voucher.pk)

    assert Voucher.objects.filter(pk=voucher.pk, state="issued", membership=member).exists()


@pytest.mark.parametrize(
    "change", ["state = 'expired'", "state = 'canceled'", "amount_applied = 1", "redeemed_at = now()", "spend = 1"]
)
def test_the_database_refuses_to_alter_a_use(voucher_type, place, clerk, change):
    used = redeem(issue(voucher_type), place, clerk)

    refused_by_database(f"UPDATE loyalty_voucher SET {change} WHERE id = %s", used.voucher.pk)


def test_a_code_is_unique_and_a_use_complete(voucher_type, place, clerk):
    voucher = issue(voucher_type)
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="code"), transaction.atomic():
        cursor.execute(
            "INSERT INTO loyalty_voucher (public_id, code, type_id, state, source, source_reference, issued_at,"
            " valid_from, folio_reference) SELECT gen_random_uuid(), code, type_id, 'issued', 'manual', '', now(),"
            " valid_from, '' FROM loyalty_voucher WHERE id = %s",
            [voucher.pk],
        )
    used = redeem(voucher, place, clerk)
    assert used.voucher.redeemed_at == NOW
    assert missing_guards() == []


@pytest.mark.parametrize(
    "change",
    [
        "amount = 200",
        "currency = 'USD'",
        "weekdays = '{1}'",
        "is_transferable = true",
        "valid_days = 60",
        "unit_cost = 5",
    ],
)
def test_the_terms_are_fixed_with_the_first_voucher(programme, change):
    voucher_type = make_voucher_type(programme)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE loyalty_vouchertype SET {change} WHERE id = %s", [voucher_type.pk])
        cursor.execute("UPDATE loyalty_vouchertype SET weekdays = '{}', amount = 100, currency = 'CNY'")
    other = make_voucher_type(programme)
    issue(other)

    refused_by_database(f"UPDATE loyalty_vouchertype SET {change} WHERE id = %s", other.pk)

    VoucherType.objects.filter(pk=other.pk).update(name="新名称", is_active=False, issue_limit=5, reminder_days=3)


def test_places_and_blackouts_are_fixed_with_the_first_voucher(programme, place):
    voucher_type = make_voucher_type(programme)
    voucher_type.properties.add(place)
    voucher_type.brands.add(place.brand)
    blackout = VoucherBlackout.objects.create(type=voucher_type, first_date=TODAY + DAY, last_date=TODAY + DAY)
    issue(voucher_type)

    for change in (
        voucher_type.properties.clear,
        lambda: voucher_type.properties.add(make_property()),
        voucher_type.brands.clear,
        blackout.delete,
        lambda: VoucherBlackout.objects.create(type=voucher_type, first_date=TODAY, last_date=TODAY),
    ):
        with pytest.raises(IntegrityError, match="terms"), transaction.atomic():
            change()


@pytest.mark.parametrize("change", ["quantity = 9", "issued_count = 1", "status = 'issuing'", "type_id = 0"])
def test_a_batch_stays_what_was_ordered(voucher_type, change):
    batch = order(voucher_type, 5)
    run_batch(batch_id=batch.pk, now=NOW)

    refused_by_database(f"UPDATE loyalty_voucherbatch SET {change} WHERE id = %s", batch.pk)
    refused_by_database("DELETE FROM loyalty_voucherbatch WHERE id = %s", batch.pk)
    assert VoucherBatch.objects.get().status == "issued"
