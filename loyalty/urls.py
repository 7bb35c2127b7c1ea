"""Addresses of the staff pages of `loyalty`."""

from django.urls import path

from loyalty.views import points, vouchers

app_name = "loyalty"

urlpatterns = [
    path("enroll/", points.enrol, name="enrol"),
    path("guests/<uuid:public_id>/enroll/", points.enrol_guest, name="enrol_guest"),
    path("guests/<uuid:public_id>/stay/", points.post_stay_view, name="post_stay"),
    path("guests/<uuid:public_id>/redeem/", points.redeem, name="redeem"),
    path("guests/<uuid:public_id>/adjust/", points.adjust, name="adjust"),
    path("guests/<uuid:public_id>/points/", points.points_statement, name="statement"),
    path("guests/<uuid:public_id>/points/<int:seq>/reverse/", points.reverse_adjustment, name="reverse_adjustment"),
    path("stays/<uuid:public_id>/void/", points.void_stay_view, name="void_stay"),
    path("redemptions/<uuid:public_id>/cancel/", points.cancel_redemption_view, name="cancel_redemption"),
    *vouchers.urlpatterns,
]
