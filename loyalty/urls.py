"""Addresses of the staff pages of `loyalty`."""

from django.urls import path

from loyalty import views

app_name = "loyalty"

urlpatterns = [
    path("enroll/", views.enrol, name="enrol"),
    path("guests/<uuid:public_id>/enroll/", views.enrol_guest, name="enrol_guest"),
    path("guests/<uuid:public_id>/stay/", views.post_stay_view, name="post_stay"),
    path("guests/<uuid:public_id>/redeem/", views.redeem, name="redeem"),
    path("guests/<uuid:public_id>/benefits/", views.use_benefit, name="use_benefit"),
    path("benefit-uses/<uuid:public_id>/undo/", views.undo_benefit, name="undo_benefit"),
    path("guests/<uuid:public_id>/adjust/", views.adjust, name="adjust"),
    path("guests/<uuid:public_id>/points/", views.points_statement, name="statement"),
    path("guests/<uuid:public_id>/points/<int:seq>/reverse/", views.reverse_adjustment, name="reverse_adjustment"),
    path("stays/<uuid:public_id>/void/", views.void_stay_view, name="void_stay"),
    path("redemptions/<uuid:public_id>/cancel/", views.cancel_redemption_view, name="cancel_redemption"),
]
