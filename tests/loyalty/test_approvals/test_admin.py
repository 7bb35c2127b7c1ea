"""The administration."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from loyalty.models import (
    ApprovalLimit,
    ApprovalRequest,
)
from loyalty.services.approvals import (
    NotTheApprover,
    approve_request,
)
from tests.factories import (
    make_property,
    make_staff,
    make_voucher_type,
)
from tests.loyalty.test_approvals.acts import make_limit, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def group_desk(client):
    client.force_login(make_staff(Role.GROUP_MANAGER))
    return client


def limit_form(programme, **fields):
    return {
        "programme": programme.pk,
        "kind": "adjust",
        "role": "receptionist",
        "unit": "points",
        "per_movement": "100",
        "per_day": "500",
        "approver_role": "property_manager",
        "effective_from": str(timezone.localdate() + dt.timedelta(days=2)),
        **fields,
    }


def test_a_limit_is_added_for_a_day_to_come_and_audited(group_desk, programme, member):
    group_desk.post(reverse("admin:loyalty_approvallimit_add"), limit_form(programme))

    assert ApprovalLimit.objects.get().per_day == 500
    assert AuditEntry.objects.filter(action="approvallimit.added").exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"approver_role": "receptionist"}, "approver_role"),
        ({"per_day": "99"}, "per_day"),
        ({"per_movement": "-1"}, "per_movement"),
        ({"effective_from": "2026-01-01"}, "effective_from"),
        ({"unit": "stars"}, "__all__"),
    ],
)
def test_a_limit_without_sense_is_refused_at_its_field(group_desk, programme, member, wrong, field):
    answer = group_desk.post(reverse("admin:loyalty_approvallimit_add"), limit_form(programme, **wrong))

    assert list(answer.context["adminform"].form.errors) == [field]
    assert not ApprovalLimit.objects.exists()


def test_a_limit_and_a_rule_that_have_begun_stay_as_they_are(group_desk, programme, member):
    rows = {"approvallimit": make_limit(programme), "velocityrule": make_rule(programme)}

    for name, row in rows.items():
        url = reverse(f"admin:loyalty_{name}_change", args=[row.pk])
        assert group_desk.post(url, {"effective_from": "2030-01-01"}).status_code == 403
        assert (
            group_desk.post(reverse(f"admin:loyalty_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        )


def test_a_batch_above_the_limit_waits_and_is_ordered_by_the_approval(client, programme):
    make_limit(programme, "voucher_batch", "marketer", unit="CNY", per_day=None, approver_role="group_manager")
    voucher_type = make_voucher_type(programme)
    client.force_login(make_staff(Role.MARKETER))

    client.post(
        reverse("admin:loyalty_vouchertype_order", args=[voucher_type.pk]),
        {"quantity": "11", "purpose": "旅展", "request_key": uuid.uuid4()},
    )

    request = ApprovalRequest.objects.get()
    assert (request.value, request.unit, request.property) == (Decimal(1100), "CNY", None)
    of_place = make_staff(Role.PROPERTY_MANAGER, place=make_property())
    with pytest.raises(NotTheApprover):
        approve_request(actor=of_place, now=timezone.now(), request_id=request.pk)
    done = approve_request(actor=make_staff(Role.GROUP_MANAGER), now=timezone.now(), request_id=request.pk)
    assert (done.state, voucher_type.batches.get().quantity) == ("approved", 11)


def test_a_tier_waits_where_its_grant_needs_an_approval(group_desk, programme, member):
    make_limit(
        programme,
        "grant_tier",
        "group_manager",
        unit="times",
        per_movement=0,
        per_day=None,
        approver_role="group_manager",
    )
    form = {
        "number": member.number,
        "tier": programme.tiers.get(code="gold").pk,
        "source": "manual",
        "until_date": str(timezone.localdate() + dt.timedelta(days=30)),
        "reason": "赔礼",
        "proof": "",
        "proof_reference": "",
    }

    group_desk.post(reverse("admin:loyalty_tiergrant_add"), form)

    member.refresh_from_db()
    assert member.tier.code == "base"
    request = ApprovalRequest.objects.get()
    approve_request(actor=make_staff(Role.GROUP_MANAGER), now=timezone.now(), request_id=request.pk)
    member.refresh_from_db()
    assert member.tier.code == "gold"
