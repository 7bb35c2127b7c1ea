"""Addresses of the staff pages of `feedback`."""

from django.urls import path

from feedback import views

app_name = "feedback"

urlpatterns = [
    path("guests/<uuid:public_id>/ticket/", views.open_ticket, name="open_ticket"),
    path("tickets/", views.tickets, name="tickets"),
    path("tickets/<uuid:public_id>/", views.ticket, name="ticket"),
    path("tickets/<uuid:public_id>/withdraw/", views.withdraw, name="withdraw"),
    path("tickets/<uuid:public_id>/close/", views.close, name="close"),
    path("tickets/<uuid:public_id>/reopen/", views.reopen, name="reopen"),
    path("tickets/<uuid:public_id>/presence/", views.presence, name="presence"),
    path("tickets/<uuid:public_id>/note/", views.note, name="note"),
]
