"""Addresses of the organisation's staff pages."""

from django.urls import path

from hotels import views

app_name = "hotels"

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("drafts/", views.draft, name="draft"),
    path("property/", views.switch_property, name="switch_property"),
]
