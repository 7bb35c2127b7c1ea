"""Addresses of the members' points and vouchers, and of stays and voucher uses from other systems."""

from django.urls import path

from loyalty.api import rewards, statements, views, vouchers

urlpatterns = [
    path("me", views.Me.as_view(), name="me"),
    path("me/points", views.OwnPoints.as_view(), name="me-points"),
    path("me/postings", views.OwnPostings.as_view(), name="me-postings"),
    path("rewards", rewards.Rewards.as_view(), name="rewards"),
    path("me/redemptions", rewards.OwnRedemptions.as_view(), name="me-redemptions"),
    path("me/redemptions/<uuid:public_id>/cancel", rewards.CancelOwnRedemption.as_view(), name="me-cancel-redemption"),
    path("me/statement", statements.OwnStatement.as_view(), name="me-statement"),
    path("me/vouchers", vouchers.OwnVouchers.as_view(), name="me-vouchers"),
    path("integration/vouchers/verify", vouchers.VerifyVoucher.as_view(), name="integration-verify-voucher"),
    path("integration/vouchers/redeem", vouchers.RedeemVoucher.as_view(), name="integration-redeem-voucher"),
    path("integration/vouchers/undo", vouchers.UndoVoucher.as_view(), name="integration-undo-voucher"),
    path("integration/stays", views.IntegrationStays.as_view(), name="integration-stays"),
]
