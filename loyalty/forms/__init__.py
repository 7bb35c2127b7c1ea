"""Forms of the staff pages on points, stays, rewards and money."""

from loyalty.forms.approvals import ApprovalFilterForm, ApprovalNoteForm, RefuseApprovalForm
from loyalty.forms.desk import AdjustForm, BenefitForm, EnrolForm, MakeMemberForm, MoveStayForm, StayForm
from loyalty.forms.finance import FinanceForm, FinanceRowsForm, StatementForm
from loyalty.forms.friends import ReferralForm, RejectShareForm, ShareFilterForm, ShareForm
from loyalty.forms.rewards import CancelRedemptionForm, FulfilmentFilterForm, RedeemForm
from loyalty.forms.vouchers import (
    VoucherCancelForm,
    VoucherCodeForm,
    VoucherIssueForm,
    VoucherTransferForm,
    VoucherUseForm,
)
from loyalty.forms.wallet import StoredValueForm, StoredValueRefundForm, TopUpForm, TransferForm

__all__ = [
    "AdjustForm",
    "ApprovalFilterForm",
    "ApprovalNoteForm",
    "BenefitForm",
    "CancelRedemptionForm",
    "EnrolForm",
    "FinanceForm",
    "FinanceRowsForm",
    "FulfilmentFilterForm",
    "MakeMemberForm",
    "MoveStayForm",
    "RedeemForm",
    "ReferralForm",
    "RefuseApprovalForm",
    "RejectShareForm",
    "ShareFilterForm",
    "ShareForm",
    "StatementForm",
    "StayForm",
    "StoredValueForm",
    "StoredValueRefundForm",
    "TopUpForm",
    "TransferForm",
    "VoucherCancelForm",
    "VoucherCodeForm",
    "VoucherIssueForm",
    "VoucherTransferForm",
    "VoucherUseForm",
]
