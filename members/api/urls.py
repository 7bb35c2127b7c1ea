"""Addresses of the guests' part of the API."""

from django.urls import path

from members.api import views

urlpatterns = [path("me/stays", views.OwnStays.as_view(), name="me-stays")]
