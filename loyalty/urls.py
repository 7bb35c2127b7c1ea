"""Addresses of the staff pages of `loyalty`."""

from django.urls import path

from loyalty.views import approvals, desk, finance, friends, moves, rewards, statements, transfers, vouchers, wallet

app_name = "loyalty"

urlpatterns = [
    path("enroll/", desk.enrol, name="enrol"),
    path("enroll/likely/", desk.enrol_likely, name="enrol_likely"),
    path("guests/<uuid:public_id>/enroll/", desk.enrol_guest, name="enrol_guest"),
    path("guests/<uuid:public_id>/stay/", desk.post_stay_view, name="post_stay"),
    path("guests/<uuid:public_id>/benefits/", desk.use_benefit, name="use_benefit"),
    path("benefit-uses/<uuid:public_id>/undo/", desk.undo_benefit, name="undo_benefit"),
    path("guests/<uuid:public_id>/adjust/", desk.adjust, name="adjust"),
    path("guests/<uuid:public_id>/points/", desk.points_statement, name="statement"),
    path("guests/<uuid:public_id>/points/<int:seq>/reverse/", desk.reverse_adjustment, name="reverse_adjustment"),
    path("guests/<uuid:public_id>/referral/", friends.enter_referral, name="enter_referral"),
    path("guests/<uuid:public_id>/share/", friends.submit_share, name="submit_share"),
    path("referrals/<uuid:public_id>/withdraw/", friends.withdraw_referral, name="withdraw_referral"),
    path("shares/", friends.shares, name="shares"),
    path("shares/<uuid:public_id>/approve/", friends.approve_share, name="approve_share"),
    path("shares/<uuid:public_id>/reject/", friends.reject_share, name="reject_share"),
    path("shares/<uuid:public_id>/undo/", friends.undo_decision, name="undo_share"),
    path("shares/<uuid:public_id>/withdraw/", friends.withdraw_share, name="withdraw_share"),
    path("stays/<uuid:public_id>/void/", desk.void_stay_view, name="void_stay"),
    path("stays/<uuid:public_id>/move/", moves.move_stay_view, name="move_stay"),
    *rewards.urlpatterns,
    *approvals.urlpatterns,
    *vouchers.urlpatterns,
    *finance.urlpatterns,
    *statements.urlpatterns,
    *wallet.urlpatterns,
    *transfers.urlpatterns,
]
