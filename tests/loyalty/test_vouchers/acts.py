"""What these tests do over and over."""

import datetime as dt
import uuid

import pytest

from loyalty.models import VoucherEvent
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    VoucherRefused,
    issue_voucher,
    order_batch,
    redeem_voucher,
)
from tests.factories import (
    NOW,
)

TODAY = NOW.date()
DAY = dt.timedelta(days=1)


def issue(voucher_type, membership=None, **facts):
    return issue_voucher(
        **{
            "actor": None,
            "now": NOW,
            "type_id": voucher_type.pk,
            "membership_id": membership.pk if membership else None,
            **facts,
        }
    )


def redeem(voucher, place, clerk, **facts):
    return redeem_voucher(
        **{
            "actor": clerk,
            "now": NOW,
            "voucher_id": voucher.pk,
            "place": place,
            "request": RequestKey("test", str(uuid.uuid4())),
            **facts,
        }
    )


def refusal(call, *args, **facts):
    with pytest.raises(VoucherRefused) as refused:
        call(*args, **facts)
    assert str(refused.value)
    return refused.value.code


def kinds(voucher):
    return list(VoucherEvent.objects.filter(voucher=voucher).order_by("id").values_list("kind", flat=True))


def order(voucher_type, quantity, **facts):
    return order_batch(
        **{
            "actor": None,
            "now": NOW,
            "type_id": voucher_type.pk,
            "quantity": quantity,
            "purpose": "旅展",
            "request_key": uuid.uuid4(),
            **facts,
        }
    )
