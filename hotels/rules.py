"""What each role may do: permission patterns, matched by `config.access.RoleBackend`.

A pattern is `app.codename` with `*` as a wildcard. Custom codenames stand in the `Meta.permissions`
of the model they protect.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

DESK = (
    "members.use_desk",
    "members.view_guest",
    "members.add_guest",
    "members.change_guest",
    "members.reveal_pii",
    "members.post_stay",
    "members.view_stay",
    "loyalty.view_membership",
    "loyalty.redeem_points",
    "loyalty.view_redemption",
    "loyalty.fulfil_redemption",
    "loyalty.use_entitlement",
    "loyalty.view_posting",
    "loyalty.view_referral",
    "loyalty.enter_referral",
    "loyalty.view_socialshare",
    "loyalty.submit_share",
    "loyalty.view_voucher",
    "loyalty.redeem_voucher",
    "loyalty.transfer_voucher",
    "loyalty.view_approvalrequest",
    "loyalty.view_storedvaluemovement",
    "loyalty.top_up_stored_value",
    "loyalty.spend_stored_value",
    "loyalty.view_pointstransfer",
    "loyalty.transfer_points",
    "feedback.view_ticket",
    "feedback.add_ticket",
)

ROLE_PERMISSIONS: dict[str, tuple[str, ...]] = {
    "receptionist": DESK,
    "guest_service": (
        *DESK,
        "members.merge_guests",
        "feedback.change_ticket",
        "members.view_reservation",
        "loyalty.decide_share",
    ),
    "marketer": (
        "members.use_desk",
        "members.view_*",
        "loyalty.view_*",
        "loyalty.decide_share",
        "loyalty.add_vouchertype",
        "loyalty.change_vouchertype",
        "loyalty.add_voucherblackout",
        "loyalty.change_voucherblackout",
        "loyalty.delete_voucherblackout",
        "loyalty.add_voucherbatch",
        "loyalty.issue_voucher",
        "loyalty.cancel_voucher",
        "loyalty.reveal_voucher",
        "loyalty.export_voucher",
        "campaigns.*",
        "feedback.view_ticket",
        "hotels.view_property",
        "hotels.view_brand",
    ),
    "property_manager": (
        *DESK,
        "members.view_*",
        "members.change_preference",
        "members.import_guests",
        "members.merge_guests",
        "members.export_guests",
        "loyalty.view_*",
        "loyalty.adjust_points",
        "loyalty.decide_share",
        "loyalty.issue_voucher",
        "loyalty.undo_voucher",
        "loyalty.override_redemption",
        "loyalty.cancel_voucher",
        "loyalty.reveal_voucher",
        "loyalty.decide_approval",
        "loyalty.refund_stored_value",
        "feedback.*_ticket",
        "feedback.view_*",
        *(
            f"feedback.{verb}_{noun}"
            for verb in ("add", "change")
            for noun in ("businesscalendar", "slapolicy", "routingrule", "shift", "macro")
        ),
        "feedback.*_calendarinterval",
        "feedback.*_calendarexception",
        "feedback.delete_shift",
        "campaigns.view_*",
        "hotels.view_*",
        "hotels.change_department",
        "hotels.add_department",
        "hotels.change_roomtype",
        "hotels.add_roomtype",
    ),
    "group_manager": (
        "members.*",
        "loyalty.*",
        "feedback.*",
        "campaigns.*",
        "hotels.view_*",
        "hotels.add_*",
        "hotels.change_*",
        "hotels.delete_staffassignment",
        "django_celery_beat.*",
    ),
    "auditor": ("*.view_*", "members.use_desk"),
    "integration": ("members.post_stay", "members.view_guest", "loyalty.redeem_voucher"),
}

# The roles that work in the admin; the others have their pages at the desk.
ADMIN_ROLES = frozenset({"marketer", "property_manager", "group_manager", "auditor"})


@lru_cache(maxsize=4096)
def role_allows(role: str, permission: str) -> bool:
    """Whether a role includes a permission such as `loyalty.redeem_points`."""
    return any(fnmatchcase(permission, pattern) for pattern in ROLE_PERMISSIONS.get(role, ()))


def roles_allowing(permission: str) -> list[str]:
    """The roles that include a permission, in the order of `ROLE_PERMISSIONS`."""
    return [role for role in ROLE_PERMISSIONS if role_allows(role, permission)]


def allows_any(roles: Iterable[str], permission: str) -> bool:
    """Whether any of the roles includes the permission."""
    return any(role_allows(role, permission) for role in roles)
