"""Who reaches what: every named address × every role, and every table of the admin × every role.

A new address or a new table without a row here fails, so that somebody decides who may reach it.
"""

import copy
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.messages import ERROR, get_messages
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from knox.models import AuthToken

from hotels.models import Role, User
from members.models import Guest
from tests.factories import make_staff

ROLES = (
    "nobody",
    "guest",
    Role.INTEGRATION,
    Role.RECEPTIONIST,
    Role.GUEST_SERVICE,
    Role.MARKETER,
    Role.PROPERTY_MANAGER,
    Role.GROUP_MANAGER,
    Role.AUDITOR,
)
OF_PROPERTY = {Role.RECEPTIONIST, Role.GUEST_SERVICE, Role.PROPERTY_MANAGER}

# One letter per role, in the order of ROLES: Y answered, L sent to sign in (401 in the API),
# N refused (403), R refused with a sentence on the page, H hidden or not there (404), - no such
# method (405). First for GET, then for POST with an empty form; there H means allowed, but the form
# names no record.
# nobody guest integration receptionist guest-service marketer property-manager group-manager auditor
TABLE = {
    "members:desk": "LNNYYYYYY ---------",
    "members:desk_page": "LNNYYYYYY ---------",
    "members:desk_search": "LNNYYYYYY LNNYYYYYY",
    "members:guests": "LNNYYYYYY ---------",
    "members:guest": "LNNYYYYYY ---------",
    "members:edit_guest": "LNNYYNYYN LNNYYNYYN",
    "members:reveal": "--------- LNNHHNHHN",
    "members:add_preference": "LNNYYNYYN LNNYYNYYN",
    "members:restore_preference": "--------- LNNRRNRRN",
    "members:remove_preference": "--------- LNNYYNYYN",
    "members:add_tag": "LNNYYNYYN LNNYYNYYN",
    "members:remove_tag": "--------- LNNYYNYYN",
    "members:restore_tag": "--------- LNNYYNYYN",
    "members:registration_card": "LNNYYYYYY ---------",
    "members:duplicates": "LNNNYNYYN ---------",
    "members:search_duplicates": "--------- LNNNYNYYN",
    "members:duplicate": "LNNNYNYYN LNNNYNYYN",
    "members:undo_merge": "LNNNYNYYN LNNNYNYYN",
    # An empty form names nothing that conditions could judge.
    "members:condition_builder": "--------- LNNHHHHHH",
    "members:imports": "LNNNNNYYN ---------",
    "members:import_upload": "LNNNNNYYN LNNNNNYYN",
    "members:import_detail": "LNNNNNYYN ---------",
    "members:import_columns": "--------- LNNNNNYYN",
    "members:import_apply": "--------- LNNNNNRRN",
    "members:import_cancel": "--------- LNNNNNYYN",
    "members:import_pause": "--------- LNNNNNRRN",
    "members:import_resume": "--------- LNNNNNRRN",
    "members:import_undo": "LNNNNNRRN LNNNNNRRN",
    "members:import_progress": "LNNNNNYYN ---------",
    "members:import_errors_csv": "LNNNNNYYN ---------",
    "members:import_errors_xlsx": "LNNNNNYYN ---------",
    "loyalty:enrol": "LNNYYNYYN LNNYYNYYN",
    "loyalty:enrol_likely": "--------- LNNYYNYYN",
    "loyalty:enrol_guest": "LNNYYNYYN LNNYYNYYN",
    "loyalty:post_stay": "LNNYYNYYN LNNYYNYYN",
    "loyalty:redeem": "LNNYYNYYN LNNYYNYYN",
    "loyalty:use_benefit": "LNNYYNYYN LNNYYNYYN",
    "loyalty:undo_benefit": "--------- LNNYYNYYN",
    "loyalty:adjust": "LNNNNNYYN LNNNNNYYN",
    "loyalty:enter_referral": "LNNYYNYYN LNNYYNYYN",
    "loyalty:withdraw_referral": "--------- LNNYYNYYN",
    "loyalty:submit_share": "LNNYYNYYN LNNYYNYYN",
    "loyalty:shares": "LNNYYYYYY ---------",
    "loyalty:approve_share": "--------- LNNNYYYYN",
    "loyalty:reject_share": "LNNNYYYYN LNNNYYYYN",
    "loyalty:undo_share": "--------- LNNNRRRRN",
    "loyalty:withdraw_share": "--------- LNNHHNHHN",
    "loyalty:statement": "LNNYYYYYY ---------",
    "loyalty:reverse_adjustment": "--------- LNNNNNYYN",
    "loyalty:void_stay": "--------- LNNHHNHHN",
    "loyalty:move_stay": "LNNNNNYYN LNNNNNYYN",
    "loyalty:cancel_redemption": "--------- LNNYYNYYN",
    "loyalty:fulfilments": "LNNYYYYYY ---------",
    "loyalty:demand": "LNNYYYYYY ---------",
    "loyalty:demand_xlsx": "LNNYYYYYY ---------",
    "loyalty:receipt": "LNNYYYYYY ---------",
    "loyalty:give_back": "LNNYYNYYN LNNYYNYYN",
    "loyalty:fulfil_redemption": "--------- LNNYYNYYN",
    "loyalty:no_show": "--------- LNNYYNYYN",
    "loyalty:reopen_redemption": "--------- LNNYYNYYN",
    "loyalty:reward_picture": "HHHHHHHHH ---------",
    "loyalty:verify_voucher": "LNNYYNYYN LNNYYNYYN",
    "loyalty:guest_vouchers": "LNNYYNYYN LNNYYNYYN",
    "loyalty:use_voucher": "LNNYYNYYN LNNYYNYYN",
    "loyalty:undo_voucher": "--------- LNNYYNYYN",
    "loyalty:voucher": "LNNYYYYYY ---------",
    "loyalty:print_voucher": "LNNNNYYYN ---------",
    "loyalty:transfer_voucher": "LNNYYNYYN LNNYYNYYN",
    "loyalty:cancel_voucher": "LNNNNYYYN LNNNNYYYN",
    "loyalty:issue_voucher": "LNNNNYYYN LNNNNYYYN",
    "loyalty:approvals": "LNNYYYYYY ---------",
    # A receptionist sees only their own requests; others see that it is there, and the service refuses.
    "loyalty:approval": "LNNHHYYYY LNNHHYYYY",
    "loyalty:refuse_approval": "LNNNNNYYN LNNNNNYYN",
    "loyalty:withdraw_approval": "--------- LNNHHRRRR",
    "loyalty:review_marked": "--------- LNNNNNYYN",
    "feedback:open_ticket": "LNNYYNYYN LNNYYNYYN",
    "loyalty:finance": "LNNNNYYYY ---------",
    "loyalty:close_month": "--------- LNNNNNNYN",
    # An empty address asks for nothing, and the code of a tag names no report.
    "loyalty:finance_rows": "LNNNNHHHH ---------",
    "loyalty:finance_report": "LNNNNHHHH ---------",
    "loyalty:member_statement": "LNNYYYYYY ---------",
    "loyalty:transfer_points": "LNNYYNYYN LNNYYNYYN",
    "loyalty:undo_transfer": "--------- LNNRRNRRN",
    "loyalty:top_up": "LNNYYNYYN LNNYYNYYN",
    "loyalty:pay_stored_value": "LNNYYNYYN LNNYYNYYN",
    "loyalty:refund_stored_value": "LNNNNNYYN LNNNNNYYN",
    "loyalty:undo_stored_value": "--------- LNNRRNRRN",
    "loyalty:stored_value_receipt": "LNNYYYYYY ---------",
    "loyalty:stored_value_statement": "LNNYYYYYY ---------",
    "feedback:tickets": "LNNYYYYYY ---------",
    "feedback:ticket": "LNNYYYYYY ---------",
    "feedback:withdraw": "--------- LNNHHNHHN",
    "feedback:close": "--------- LNNRYRYYR",
    "feedback:reopen": "--------- LNNRRRRRR",
    "feedback:presence": "--------- LNNYYYYYY",
    "feedback:note": "--------- LNNRYRYYR",
    "feedback:bulk": "--------- LNNNRNRRN",
    "feedback:handover": "LNNNYNYYN ---------",
    "feedback:notifications": "LNNYYYYYY ---------",
    "feedback:read_notifications": "--------- LNNYYYYYY",
    # The sample's file lies nowhere.
    "feedback:attachment": "LNNHHHHHH ---------",
    "feedback:take": "--------- LNNRRRRRR",
    "feedback:assign": "--------- LNNRYRYYR",
    "feedback:reply": "--------- LNNRYRYYR",
    "feedback:wait": "--------- LNNRYRYYR",
    "feedback:resume": "--------- LNNRYRYYR",
    "feedback:classify": "--------- LNNRYRYYR",
    "feedback:move": "--------- LNNRYRYYR",
    "feedback:split": "--------- LNNRYRYYR",
    "feedback:merge": "--------- LNNRYRYYR",
    "feedback:link": "--------- LNNRYRYYR",
    "feedback:attach": "--------- LNNRYRYYR",
    "feedback:recover": "--------- LNNRYRYYR",
    "feedback:undo_recovery": "--------- LNNRYRYYR",
    "hotels:profile": "LNNYYYYYY LNNYYYYYY",
    "hotels:draft": "--------- LNNYYYYYY",
    "hotels:switch_property": "--------- LNNYYYYYY",
    "account_login": "YYYYYYYYY YYYYYYYYY",
    "account_logout": "YYYYYYYYY YYYYYYYYY",
    "account_inactive": "YYYYYYYYY ---------",
    "account_signup": "YYYYYYYYY YYYYYYYYY",
    "account_reauthenticate": "LNYYYYYYY LNYYYYYYY",
    "account_email": "LYYYYYYYY LYYYYYYYY",
    "account_email_verification_sent": "YYYYYYYYY ---------",
    "account_change_password": "LYYYYYYYY LYYYYYYYY",
    "account_set_password": "LYYYYYYYY LYYYYYYYY",
    "account_reset_password": "YYYYYYYYY YYYYYYYYY",
    "account_confirm_login_code": "YYYYYYYYY YYYYYYYYY",
    "account_confirm_email": "YYYYYYYYY HHHHHHHHH",
    "account_reset_password_from_key_done": "YYYYYYYYY ---------",
    "account_reset_password_from_key": "YYYYYYYYY YYYYYYYYY",
    "account_reset_password_done": "YYYYYYYYY ---------",
    "mfa_index": "LYYYYYYYY L--------",
    "mfa_authenticate": "YYYYYYYYY YYYYYYYYY",
    "mfa_reauthenticate": "LNYYYYYYY LNYYYYYYY",
    "mfa_activate_totp": "LYYYYYYYY LYYYYYYYY",
    "mfa_deactivate_totp": "LHHHHHHHH LHHHHHHHH",
    "mfa_view_recovery_codes": "LHHHHHHHH L--------",
    "mfa_generate_recovery_codes": "LYYYYYYYY LYYYYYYYY",
    "mfa_download_recovery_codes": "LHHHHHHHH LHHHHHHHH",
    "mfa_list_webauthn": "LYYYYYYYY L--------",
    "mfa_add_webauthn": "LYYYYYYYY LYYYYYYYY",
    "mfa_reauthenticate_webauthn": "LNYYYYYYY LNYYYYYYY",
    "mfa_remove_webauthn": "LHYYYYYYY LHYYYYYYY",
    "mfa_edit_webauthn": "LHYYYYYYY LHYYYYYYY",
    "api:me-stays": "LYNNNNNNN L--------",
    "api:me": "LYNNNNNNN L--------",
    "api:me-points": "LYHHHHHHH L--------",
    "api:me-postings": "LYHHHHHHH L--------",
    "api:me-statement": "LYHHHHHHH L--------",
    "api:me-vouchers": "LYHHHHHHH L--------",
    "api:rewards": "LYHHHHHHH L--------",
    "api:me-redemptions": "LYHHHHHHH LYHHHHHHH",
    "api:me-cancel-redemption": "L-------- LYHHHHHHH",
    "api:integration-verify-voucher": "LN---N--N LNYYYNYYN",
    "api:integration-redeem-voucher": "LN---N--N LNYYYNYYN",
    "api:integration-undo-voucher": "LN---N--N LNYYYNYYN",
    "api:integration-stays": "LN---N--N LNYYYNYYN",
    "api:schema": "YYYYYYYYY ---------",
    "api:docs": "YYYYYYYYY ---------",
    "set_language": "--------- YYYYYYYYY",
    "health": "YYYYYYYYY ---------",
    "ready": "YYYYYYYYY ---------",
}

# Tables of the admin: v view, a add, c change, d delete, by role. Receptionists, guest-service
# agents, guests and integrations do not enter the admin at all.
ADMIN = {
    "hotels.User": {Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "hotels.AuditEntry": {Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "hotels.HotelGroup": {Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vc", Role.AUDITOR: "v"},
    "hotels.Brand": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "hotels.Property": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "hotels.Department": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "hotels.RoomType": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "hotels.ExchangeRate": {Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "members.Guest": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "vc", Role.GROUP_MANAGER: "vc", Role.AUDITOR: "v"},
    "members.Tag": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "members.Reservation": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "members.Stay": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "members.ImportSource": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "members.ImportBatch": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "members.GuestMerge": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "members.MergeCandidate": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "members.NotSamePerson": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "members.LinkageRun": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.EarningRuleSet": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vac",
        Role.AUDITOR: "v",
    },
    "loyalty.BackTest": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.RuleUse": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.EarningRule": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.Account": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.Posting": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.Lot": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.Hold": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.JobRun": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.ExpiryNotice": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.Membership": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.Redemption": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.TierChange": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.QualificationEntry": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.Programme": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vac", Role.AUDITOR: "v"},
    "loyalty.Tier": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "loyalty.TierCriteria": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.TierBenefit": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.TierPolicy": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.TierChallenge": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.ChallengeEntry": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.TierWarning": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.TierGrant": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "va", Role.AUDITOR: "v"},
    "loyalty.TierReview": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "va", Role.AUDITOR: "v"},
    "loyalty.TierReviewRow": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vc",
        Role.AUDITOR: "v",
    },
    "loyalty.Entitlement": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.EntitlementUse": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.Reward": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "loyalty.ExchangeRatio": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.Referral": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.ReferralPolicy": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.SocialShare": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.SharePolicy": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.ApprovalLimit": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.VelocityRule": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.ApprovalRequest": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.MovementRecord": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.VoucherType": {
        Role.MARKETER: "vac",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.VoucherBatch": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.Voucher": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "loyalty.SettlementRun": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.StoredValuePolicy": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.TransferPolicy": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "loyalty.PointsTransfer": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.StoredValueMovement": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "v",
        Role.AUDITOR: "v",
    },
    "loyalty.SettlementRate": {
        Role.MARKETER: "v",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "va",
        Role.AUDITOR: "v",
    },
    "feedback.Ticket": {Role.MARKETER: "v", Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "v", Role.AUDITOR: "v"},
    "feedback.BusinessCalendar": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "feedback.SLAPolicy": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "feedback.RoutingRule": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "feedback.Shift": {Role.PROPERTY_MANAGER: "vacd", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "feedback.Macro": {Role.PROPERTY_MANAGER: "vac", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "feedback.PublicHoliday": {Role.PROPERTY_MANAGER: "v", Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "campaigns.Campaign": {
        Role.MARKETER: "vacd",
        Role.PROPERTY_MANAGER: "v",
        Role.GROUP_MANAGER: "vacd",
        Role.AUDITOR: "v",
    },
    "django_celery_beat.PeriodicTask": {Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "django_celery_beat.CrontabSchedule": {Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "django_celery_beat.IntervalSchedule": {Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "django_celery_beat.ClockedSchedule": {Role.GROUP_MANAGER: "vacd", Role.AUDITOR: "v"},
    "knox.AuthToken": {Role.GROUP_MANAGER: "vd", Role.AUDITOR: "v"},
    "mfa.Authenticator": {Role.GROUP_MANAGER: "vd", Role.AUDITOR: "v"},
}


def named_addresses():
    """Full name → route of every named address outside the admin."""

    def walk(resolver, namespace, route):
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLPattern):
                if pattern.name:
                    yield f"{namespace}{pattern.name}", f"{route}{pattern.pattern}"
            elif pattern.namespace != "admin":
                prefix = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern, prefix, f"{route}{pattern.pattern}")

    return dict(walk(get_resolver(), "", ""))


def arguments(route: str, samples: SimpleNamespace) -> dict[str, object]:
    """Records of the samples for the parts of an address."""
    member = samples.member
    records = {
        "merges/": samples.merge.public_id,
        "guests/": member.guest.public_id,
        "stays/": member.stay.public_id,
        "redemptions/": member.redemption.public_id,
        "api/v1/me/redemptions/": member.redemption.public_id,
        "benefit-uses/": member.use.public_id,
        "referrals/": member.referral.public_id,
        "shares/": member.share.public_id,
        "approvals/": samples.approval.public_id,
        "tickets/": member.ticket.public_id,
        "imports/": samples.batch.public_id,
        "vouchers/": member.voucher.public_id,
        "point-transfers/": member.transfer.public_id,
        "stored-value/": member.stored.public_id,
    }
    values = {
        "public_id": next((value for prefix, value in records.items() if route.startswith(prefix)), None),
        "file_id": member.attachment.public_id,
        "recovery_id": member.recovery.public_id,
        "preference_id": member.guest.preferences.get().pk,
        "code": samples.tag.code,
        "seq": 2,
        "redemption_id": member.voucher_use.redemption_id,
        "pk": samples.marked.pk if route.startswith("approvals/") else 1,
        "first": samples.pair.first.public_id,
        "second": samples.pair.second.public_id,
        "key": "abc-def",
        "uidb36": "1",
        "membership_number": member.membership.number,
    }
    return {name: value for name, value in values.items() if f":{name}>" in route or f"<{name}>" in route}


def letter(answer) -> str:
    """What an answer means for the reader."""
    path = answer.get("Location", "")
    if path and any(message.level >= ERROR for message in get_messages(answer.wsgi_request)):
        return "R"
    if answer.status_code == 401 or path.startswith(("/accounts/login/?", "/admin/login/?")):
        return "L"
    return {403: "N", 404: "H", 405: "-"}.get(answer.status_code, "Y" if answer.status_code < 500 else "E")


def visit(client: Client, url: str, method: str = "get", data: dict[str, str] | None = None) -> str:
    """Ask for a page, or send a form that is empty but for `data`; nothing of it is kept."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        answer = getattr(client, method)(url, data)
        transaction.set_rollback(True)
    client.cookies = cookies
    return letter(answer)


@pytest.fixture
def people(samples):
    """A signed-in client for every role; in the API they carry tokens."""
    users = {role: make_staff(role, place=samples.place if role in OF_PROPERTY else None) for role in ROLES[2:]}
    users["guest"] = User.objects.create_user("a-guest")
    Guest.objects.filter(pk=samples.member.guest.pk).update(user=users["guest"])
    clients = {"nobody": Client()}
    for role, user in users.items():
        clients[role] = Client(headers={"Authorization": f"Token {AuthToken.objects.create(user=user)[1]}"})
        clients[role].force_login(user)
    return SimpleNamespace(users=users, clients=clients)


def test_every_address_answers_each_role_as_the_table_says(people, samples):
    found = {}
    for name, route in named_addresses().items():
        url = reverse(name, kwargs=arguments(route, samples))
        data = {"property": samples.place.code} if name == "hotels:switch_property" else {}
        found[name] = " ".join(
            "".join(visit(people.clients[role], url, method, data) for role in ROLES) for method in ("get", "post")
        )

    assert {name: row for name, row in found.items() if TABLE.get(name) != row} == {}
    assert set(TABLE) == set(found)


def test_no_address_fails_for_a_superuser(people, samples):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    found = {}
    for name, route in named_addresses().items():
        url = reverse(name, kwargs=arguments(route, samples))
        found[name] = visit(client, url) + visit(client, url, "post")

    assert {name: letters for name, letters in found.items() if "E" in letters} == {}


def test_every_table_of_the_admin_allows_each_role_what_the_table_says(people, rf):
    found = {}
    for model, model_admin in admin.site._registry.items():
        found[model._meta.label] = {
            role: rights
            for role in ROLES[2:]
            if admin.site.has_permission(request := _request(rf, people.users[role]))
            and (rights := _rights(model_admin, request))
        }

    assert {label: row for label, row in found.items() if ADMIN.get(label) != row} == {}
    assert set(ADMIN) == set(found)


def _request(factory, user):
    request = factory.get("/admin/")
    request.user = user
    return request


def _rights(model_admin, request):
    permissions = {
        "v": model_admin.has_view_permission,
        "a": model_admin.has_add_permission,
        "c": model_admin.has_change_permission,
        "d": model_admin.has_delete_permission,
    }
    return "".join(key for key, allows in permissions.items() if allows(request))


def test_lists_of_the_admin_open_for_exactly_those_who_may_view_them(people):
    wrong = {}
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for role in ROLES:
            seen = visit(people.clients[role], url) == "Y"
            if seen != ("v" in ADMIN[model._meta.label].get(role, "")):
                wrong[model._meta.label, role] = seen

    assert wrong == {}
