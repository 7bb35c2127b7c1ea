"""Addresses of the members' points, and of stays from other systems."""

from django.urls import path

from loyalty.api import views

urlpatterns = [
    path("me", views.Me.as_view(), name="me"),
    path("me/points", views.OwnPoints.as_view(), name="me-points"),
    path("me/postings", views.OwnPostings.as_view(), name="me-postings"),
    path("integration/stays", views.IntegrationStays.as_view(), name="integration-stays"),
]
