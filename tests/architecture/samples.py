"""One of everything, made by the services, so that every page has a record to show."""

import datetime as dt
import itertools
import uuid
from decimal import Decimal
from types import SimpleNamespace

from allauth.mfa.models import Authenticator
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask
from knox.models import AuthToken

from campaigns.models import Campaign
from feedback.models import Attachment, BusinessCalendar, Macro, RoutingRule, SLAPolicy
from feedback.services import open_ticket, recover_service
from hotels.models import ExchangeRate, Role
from loyalty.models import (
    ApprovalLimit,
    ApprovalRequest,
    ExchangeRatio,
    ExpiryNotice,
    JobError,
    JobRun,
    MovementRecord,
    ReferralPolicy,
    RuleUse,
    SettlementRate,
    SettlementRun,
    SharePolicy,
    StoredValuePolicy,
    TierBenefit,
    TierChallenge,
    TierChange,
    TierPolicy,
    TierReview,
    TierReviewRow,
    TierWarning,
    TransferPolicy,
    VelocityRule,
    VoucherBatch,
    VoucherBlackout,
)
from loyalty.services.approvals import AdjustPoints, perform_or_request
from loyalty.services.backtests import request_back_test
from loyalty.services.entitlements import use_entitlement
from loyalty.services.ledger import RequestKey, adjust_points, place_hold
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import redeem_reward
from loyalty.services.referrals import enter_referral
from loyalty.services.rules import create_draft, save_rule
from loyalty.services.shares import submit_share
from loyalty.services.tier_grants import grant_tier, start_challenge
from loyalty.services.transfers import transfer_points
from loyalty.services.vouchers import issue_voucher, order_batch, redeem_voucher, run_batch
from loyalty.services.wallet import top_up
from members.models import (
    Consent,
    ImportBatch,
    ImportSource,
    LinkageRun,
    MergeCandidate,
    Reservation,
    RevenueCategory,
    Tag,
)
from members.services.guests import create_guest
from members.services.merges import mark_two_people, merge_guests
from members.services.preferences import add_preference, add_tag
from members.services.stays import FolioLineInput, post_stay
from tests.factories import (
    NOW,
    at_least,
    base_rule,
    make_brand,
    make_department,
    make_group,
    make_guest,
    make_programme,
    make_property,
    make_reward,
    make_room_type,
    make_shift,
    make_staff,
    make_voucher_type,
)

_number = itertools.count(1)


def make_member(samples: SimpleNamespace):
    """A guest with identities, notes, a stay, points, a redemption and a ticket."""
    number = next(_number)
    place, actor = samples.place, samples.manager
    guest = create_guest(
        actor=actor, now=NOW, name=f"陈思{number}", phone=f"+861380000{number:04d}", place=place, source="desk"
    )
    add_preference(actor=actor, now=NOW, guest_id=guest.pk, category="allergy", text="花生", source="desk", place=place)
    add_tag(actor=actor, now=NOW, guest_id=guest.pk, tag_id=samples.tag.pk, place=place)
    Consent.objects.create(
        guest=guest, purpose="marketing", channel="sms", granted=True, text_version="1", source="desk", recorded_at=NOW
    )
    membership = enrol_member(actor=actor, now=NOW, programme=samples.programme, guest_id=guest.pk, place=place)
    Reservation.objects.create(
        property=place,
        guest=guest,
        source_system="pms",
        source_reference=f"R{number}",
        arrival_date=dt.date(2026, 6, 10),
        departure_date=dt.date(2026, 6, 12),
        room_type=samples.room_type,
        currency="CNY",
    )
    stay = post_stay(
        actor=actor,
        now=NOW,
        place=place,
        source_system="pms",
        source_reference=f"S{number}",
        guest_id=guest.pk,
        arrival_date=dt.date(2026, 6, 10),
        departure_date=dt.date(2026, 6, 12),
        lines=[FolioLineInput("1", dt.date(2026, 6, 11), RevenueCategory.ROOM, Decimal(1000))],
        currency="CNY",
        room_type=samples.room_type,
    )
    adjust_points(actor=actor, now=NOW, points=5000, reason="致歉", membership_id=membership.pk, property_id=place.pk)
    redemption = redeem_reward(
        actor=actor,
        now=NOW,
        membership_id=membership.pk,
        reward_id=samples.reward.pk,
        place=place,
        idempotency_key=f"sample-{number}",
    )
    place_hold(
        actor=actor,
        now=NOW,
        points=10,
        hold_until=NOW + dt.timedelta(days=9000),
        membership_id=membership.pk,
        property_id=place.pk,
    )
    clerk = make_staff(Role.RECEPTIONIST, place=place)
    for points in (500, 50):
        perform_or_request(
            kind="adjust",
            actor=clerk,
            now=NOW,
            payload=AdjustPoints(membership_id=membership.pk, points=points),
            membership_id=membership.pk,
            place=place,
            reason="致歉",
            idempotency_key=f"sample-{number}-{points}",
        )
    TierChange.objects.create(membership=membership, to_tier=membership.tier, effective_date=NOW.date(), decided_at=NOW)
    later = NOW + dt.timedelta(minutes=number)
    friend = enrol_member(
        actor=actor, now=later, programme=samples.programme, guest_id=make_guest(f"周明{number}").pk, place=place
    )
    referral = enter_referral(
        actor=actor,
        now=later,
        programme=samples.programme,
        guest_id=friend.guest_id,
        code=membership.referral_code.code,
        place=place,
    )
    share = submit_share(
        actor=None,
        now=NOW,
        membership_id=membership.pk,
        platform="xiaohongshu",
        link=f"https://xhslink.com/a/{number}",
        place=place,
    )
    ExpiryNotice.objects.create(
        membership=membership, cause="lot", expires_on=NOW.date(), points=100, due_on=NOW.date()
    )
    facts = {"actor": actor, "now": NOW, "membership_id": membership.pk}
    benefit = TierBenefit.objects.create(
        tier=membership.tier, name=f"延迟退房 {number}", period="unlimited", effective_from=dt.date(2020, 1, 1)
    )
    use = use_entitlement(**facts, benefit_id=benefit.pk, place=place, idempotency_key=str(number))
    challenge = TierChallenge.objects.create(
        programme=samples.programme,
        code=f"gold-{number}",
        name="金卡挑战",
        tier=samples.tier,
        conditions=at_least(stays=99),
        days=90,
        opens_on=NOW.date(),
    )
    start_challenge(**facts, challenge_id=challenge.pk)
    grant_tier(**facts, tier_id=samples.tier.pk, until_date=NOW.date() + dt.timedelta(days=90), reason="赔礼")
    TierWarning.objects.create(
        membership=membership,
        tier=samples.tier,
        until_date=NOW.date(),
        next_tier=samples.tier,
        figures={},
        created_at=NOW,
    )
    review = TierReview.objects.create(
        programme=samples.programme, run_date=NOW.date() - dt.timedelta(days=number), state="draft", created_at=NOW
    )
    TierReviewRow.objects.create(
        review=review,
        membership=membership,
        kind="downgrade",
        from_tier=samples.tier,
        to_tier=samples.tier,
        figures={},
        why={},
    )
    TierPolicy.objects.create(
        programme=samples.programme, effective_from=dt.date(2020, 1, 1) + dt.timedelta(days=number)
    )
    ticket = open_ticket(
        actor=actor, now=NOW, guest_id=guest.pk, place=place, category="noise", severity="high", subject="空调噪音"
    )
    recovery = recover_service(actor=actor, now=NOW, ticket_id=ticket.pk, kind="call", text="致电")
    attachment = Attachment.objects.create(
        ticket=ticket, name="a.png", content_type="image/png", size_bytes=8, added_at=NOW, file=""
    )
    issue = {
        "actor": actor,
        "now": NOW,
        "type_id": samples.voucher_type.pk,
        "membership_id": membership.pk,
        "place": place,
    }
    voucher = issue_voucher(**issue)
    voucher_use = redeem_voucher(
        actor=actor,
        now=timezone.now(),
        voucher_id=issue_voucher(**{**issue, "now": timezone.now()}).pk,
        place=place,
        request=RequestKey("samples", f"{number}"),
        membership_id=membership.pk,
    )
    stored = top_up(
        **facts,
        amount=100_000,
        currency="CNY",
        method="cash",
        place=place,
        idempotency_key=f"sample-{number}",
    )
    transfer = transfer_points(
        actor=actor,
        now=NOW,
        giver_id=membership.pk,
        receiver_id=friend.pk,
        points=10,
        place=place,
        idempotency_key=f"sample-{number}",
    )
    return SimpleNamespace(
        guest=guest,
        membership=membership,
        stored=stored,
        transfer=transfer,
        stay=stay,
        redemption=redemption,
        referral=referral,
        share=share,
        ticket=ticket,
        recovery=recovery,
        attachment=attachment,
        use=use,
        voucher=voucher,
        voucher_use=voucher_use,
    )


def make_pairs(samples: SimpleNamespace) -> None:
    """A pair to be decided, two people, and a merge."""
    first, second, third, gone = (make_guest(f"陈{next(_number)}") for _each in range(4))
    samples.pair = MergeCandidate.objects.create(
        first=first, second=second, weight=3, evidence=["name_same"], found_at=NOW
    )
    mark_two_people(actor=samples.manager, now=NOW, guest_ids=(first.pk, third.pk))
    samples.merge = merge_guests(actor=samples.manager, now=NOW, survivor_id=third.pk, merged_id=gone.pk)
    LinkageRun.objects.create(state="done", requested_at=NOW)


def make_row_of_everything(samples: SimpleNamespace) -> None:
    """One more row for every list."""
    number = next(_number)
    place = make_property(f"X{number}", brand=make_brand(f"B{number}"))
    make_department(place)
    make_room_type(place)
    ExchangeRate.objects.create(
        currency="USD", to_currency="CNY", effective_from=dt.date(2020, 1, 1) + dt.timedelta(number), rate=7
    )
    user = make_staff(Role.RECEPTIONIST, place=samples.place)
    Tag.objects.create(code=f"tag-{number}", name="标签", name_en="Tag")
    make_member(samples)
    ImportSource.objects.create(name=f"PMS {number}")
    make_pairs(samples)
    ImportBatch.objects.create(property=samples.place, file_name=f"guests-{number}.csv", file=f"imports/{number}.csv")
    make_reward(samples.programme)
    ExchangeRatio.objects.create(
        programme=samples.programme,
        effective_from=dt.date(2020, 1, 1) + dt.timedelta(number),
        points_per_unit=10,
    )
    day = dt.date(2019, 1, 1) + dt.timedelta(number)
    ReferralPolicy.objects.create(programme=samples.programme, effective_from=day)
    SharePolicy.objects.create(programme=samples.programme, effective_from=day)
    StoredValuePolicy.objects.create(programme=samples.programme, effective_from=day)
    TransferPolicy.objects.create(programme=samples.programme, effective_from=day)
    TierBenefit.objects.create(tier=samples.tier, name="迎宾水果", name_en="Fruit", effective_from=dt.date(2020, 1, 1))
    voucher_type = make_voucher_type(samples.programme)
    VoucherBlackout.objects.create(type=voucher_type, first_date=NOW.date(), last_date=NOW.date())
    batch = order_batch(
        actor=user, now=NOW, type_id=voucher_type.pk, quantity=1, purpose=f"旅展 {number}", request_key=uuid.uuid4()
    )
    run_batch(batch_id=batch.pk, now=NOW)
    Campaign.objects.create(
        name="周末续住", name_en="Stay on", offer="第二晚半价", starts_on=NOW.date(), ends_on=NOW.date()
    )
    ApprovalLimit.objects.create(
        programme=samples.programme,
        kind="grant_tier",
        role="group_manager",
        unit="times",
        approver_role="group_manager",
        effective_from=day,
    )
    VelocityRule.objects.create(programme=samples.programme, check_code="near_limit", count=9, effective_from=day)
    calendar = BusinessCalendar.objects.create(code=f"CAL{number}", name="办公时间")
    SLAPolicy.objects.create(
        name="约定", property=place, calendar=calendar, resolution_minutes=60, effective_from=dt.date(2020, 1, 1)
    )
    RoutingRule.objects.create(name="规则", property=place, department_code="FO")
    Macro.objects.create(name="致歉", text="非常抱歉。")
    make_shift(user, samples.department, start=NOW + dt.timedelta(days=number))
    run = JobRun.objects.create(
        job=JobRun.Job.EXPIRE_POINTS,
        programme=samples.programme,
        run_date=dt.date(2020, 1, 1) + dt.timedelta(number),
        state=JobRun.State.PAUSED,
        started_by=samples.manager,
        created_at=NOW,
    )
    JobError.objects.create(run=run, subject_id=number, code="not_notified", outcome="held_back", at=NOW)
    draft = create_draft(actor=None, now=NOW, programme=samples.programme)
    save_rule(actor=None, now=NOW, rule=base_rule(code=f"rule-{number}", rule_set=draft))
    request_back_test(actor=samples.manager, now=NOW, rule_set_id=draft.pk)
    RuleUse.objects.create(programme=samples.programme, rule_code=f"rule-{number}", scope="points", used=1, cap=2)
    SettlementRate.objects.create(programme=samples.programme, effective_from=day)
    SettlementRun.objects.create(
        programme=samples.programme,
        start_date=day,
        end_date=day + dt.timedelta(days=1),
        currency="CNY",
        created_at=NOW,
        closed_at=NOW,
        closed_by=samples.manager,
    )
    AuthToken.objects.create(user=user)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    schedule = IntervalSchedule.objects.create(every=1000 + number, period="minutes")
    PeriodicTask.objects.create(name=f"task {number}", task="loyalty.expire_points", interval=schedule)
    CrontabSchedule.objects.create(minute=str(number % 60), hour="3")
    ClockedSchedule.objects.create(clocked_time=NOW + dt.timedelta(hours=number))


def make_samples() -> SimpleNamespace:
    """The organisation, a programme, and one row for every list."""
    place = make_property()
    programme = make_programme()
    samples = SimpleNamespace(
        group=make_group(),
        place=place,
        department=make_department(place, "HK"),
        room_type=make_room_type(place, "TWIN"),
        programme=programme,
        tier=programme.tiers.get(code="gold"),
        reward=make_reward(programme, points=100),
        voucher_type=make_voucher_type(programme, valid_days=3650),
        tag=Tag.objects.create(code=f"vip-{next(_number)}", name="贵宾", name_en="VIP"),
        manager=make_staff(Role.GROUP_MANAGER),
    )
    ReferralPolicy.objects.create(programme=programme, effective_from=dt.date(2018, 1, 1))
    SharePolicy.objects.create(programme=programme, effective_from=dt.date(2018, 1, 1))
    ApprovalLimit.objects.create(
        programme=programme,
        kind="adjust",
        role="receptionist",
        per_movement=100,
        approver_role="property_manager",
        effective_from=dt.date(2018, 1, 1),
    )
    VelocityRule.objects.create(
        programme=programme,
        check_code="same_pair",
        kind="adjust",
        outcome="flag",
        effective_from=dt.date(2018, 1, 1),
    )
    StoredValuePolicy.objects.create(programme=programme, effective_from=dt.date(2018, 1, 1))
    TransferPolicy.objects.create(programme=programme, effective_from=dt.date(2018, 1, 1))
    make_row_of_everything(samples)
    samples.member = make_member(samples)
    samples.approval = ApprovalRequest.objects.order_by("pk").last()
    samples.marked = MovementRecord.objects.order_by("pk").last()
    samples.voucher_batch = VoucherBatch.objects.order_by("pk").last()
    samples.batch = ImportBatch.objects.order_by("pk").last()
    return samples
