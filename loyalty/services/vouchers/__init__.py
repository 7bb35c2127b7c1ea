"""Vouchers: issuing one or 100,000, using one exactly once, undoing, passing on, canceling, expiring."""

from loyalty.services.vouchers.batches import (
    BATCH_MAXIMUM,
    cancel_batch,
    due_batches,
    order_batch,
    record_export,
    run_batch,
)
from loyalty.services.vouchers.changes import cancel_voucher, transfer_voucher
from loyalty.services.vouchers.expiry import (
    EXPIRY_DUE,
    REMINDER_DUE,
    VoucherJobReport,
    expire_batch_of_vouchers,
    expire_vouchers,
    remind_batch_of_vouchers,
    remind_vouchers,
)
from loyalty.services.vouchers.issuing import issue_voucher, issue_vouchers
from loyalty.services.vouchers.redeeming import UNDO_WITHIN, Redeemed, redeem_voucher, undo_redemption
from loyalty.services.vouchers.refusals import VoucherRefused

__all__ = [
    "BATCH_MAXIMUM",
    "EXPIRY_DUE",
    "REMINDER_DUE",
    "UNDO_WITHIN",
    "Redeemed",
    "VoucherJobReport",
    "VoucherRefused",
    "cancel_batch",
    "cancel_voucher",
    "due_batches",
    "expire_batch_of_vouchers",
    "expire_vouchers",
    "issue_voucher",
    "issue_vouchers",
    "order_batch",
    "record_export",
    "redeem_voucher",
    "remind_batch_of_vouchers",
    "remind_vouchers",
    "run_batch",
    "transfer_voucher",
    "undo_redemption",
]
