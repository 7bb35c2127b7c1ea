"""Transfers of points, top-ups and their refunds above a limit, from the desk to the decision."""

import datetime as dt
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from hotels.models import Role
from loyalty.models import (
    ApprovalRequest,
    MovementRecord,
    PointsTransfer,
    StoredValueMovement,
    StoredValuePolicy,
    TransferPolicy,
)
from loyalty.selectors.verification import verify_ledger
from loyalty.selectors.wallet import stored_value
from loyalty.services.approvals import approve_request
from tests.factories import make_member, make_staff
from tests.loyalty.test_approvals.acts import START, balances, make_limit

pytestmark = pytest.mark.django_db


@pytest.fixture
def group():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def send(client, programme, manager):
    TransferPolicy.objects.create(programme=programme, effective_from=START, fee_points=10)
    StoredValuePolicy.objects.create(programme=programme, effective_from=START)
    for kind, unit, most in (("transfer", "points", 1000), ("top_up", "CNY", 500), ("top_up_refund", "CNY", 200)):
        make_limit(
            programme, kind=kind, unit=unit, role="property_manager", per_movement=most, per_day=None,
            approver_role="group_manager",
        )  # fmt: skip
    client.force_login(manager)

    def send(name, member, **data):
        url = reverse(f"loyalty:{name}", args=[member.guest.public_id])
        return client.post(url, {"request_key": str(uuid.uuid4()), **data}, follow=True).content.decode()

    return send


def approve(group):
    request = ApprovalRequest.objects.get(state="pending")
    return approve_request(actor=group, now=timezone.now() + dt.timedelta(minutes=1), request_id=request.pk)


def money(member):
    return stored_value(membership=member, currency="CNY", on_date=timezone.localdate()).principal


def test_points_above_the_limit_are_set_aside_and_pass_with_the_approval(send, programme, group):
    giver, receiver = make_member(programme, points=5000), make_member(programme)

    send("transfer_points", giver, receiver=receiver.number, points="400", reason="")
    assert (balances(giver), balances(receiver)) == ((4590, 0), (400, 0))

    page = send("transfer_points", giver, receiver=receiver.number, points="1500", reason="家人")
    assert "需要集团经理审批" in page
    assert (balances(giver), balances(receiver)) == ((3090, 1500), (400, 0))

    assert approve(group).state == "approved"
    assert (balances(giver), balances(receiver)) == ((3080, 0), (1900, 0))
    assert PointsTransfer.objects.count() == MovementRecord.objects.filter(kind="transfer").count() == 2
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_money_above_the_limit_is_stored_and_paid_back_once_somebody_else_agrees(send, programme, group):
    member = make_member(programme)

    page = send("top_up", member, amount="800", method="wechat", reference="4200001")
    assert "需要集团经理审批" in page
    assert not StoredValueMovement.objects.exists()
    assert approve(group).state == "approved"
    assert money(member) == 80_000

    top_up = StoredValueMovement.objects.get()
    asked = {"top_up": top_up.public_id, "method": "wechat", "reference": ""}
    assert "已退还 ¥200" in send("refund_stored_value", member, amount="200", reason="离店", **asked)
    page = send("refund_stored_value", member, amount="300", reason="离店", **asked)
    assert "需要集团经理审批" in page
    assert money(member) == 60_000
    assert approve(group).state == "approved"
    assert money(member) == 30_000


def test_a_refund_that_was_spent_meanwhile_fails_with_nothing_half_done(send, programme, group):
    member = make_member(programme)
    send("top_up", member, amount="400", method="cash", reference="")
    top_up = StoredValueMovement.objects.get()
    send("refund_stored_value", member, top_up=top_up.public_id, amount="400", method="cash", reason="离店")
    send("pay_stored_value", member, amount="100", reference="F-1")

    done = approve(group)

    assert (done.state, done.failure) == ("failed", "refund_too_large")
    assert money(member) == 30_000
