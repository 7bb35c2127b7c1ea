"""Addresses of the staff pages of `members`."""

from django.urls import path

from members.views import conditions, desk, duplicates, guests, imports, notes, profile

app_name = "members"

urlpatterns = [
    path("", desk.desk, name="desk"),
    path("desk/", desk.desk, name="desk_page"),
    path("desk/search/", desk.search, name="desk_search"),
    path("guests/", guests.guests, name="guests"),
    path("guests/<uuid:public_id>/", desk.guest_card, name="guest"),
    path("guests/<uuid:public_id>/edit/", profile.edit_guest, name="edit_guest"),
    path("guests/<uuid:public_id>/reveal/", desk.reveal, name="reveal"),
    path("guests/<uuid:public_id>/preferences/add/", notes.add_preference, name="add_preference"),
    path("guests/<uuid:public_id>/preferences/restore/", notes.restore_preference, name="restore_preference"),
    path(
        "guests/<uuid:public_id>/preferences/<int:preference_id>/remove/",
        notes.remove_preference,
        name="remove_preference",
    ),
    path("guests/<uuid:public_id>/tags/add/", notes.add_tag, name="add_tag"),
    path("guests/<uuid:public_id>/tags/<slug:code>/remove/", notes.remove_tag, name="remove_tag"),
    path("guests/<uuid:public_id>/tags/<slug:code>/restore/", notes.restore_tag, name="restore_tag"),
    path("guests/<uuid:public_id>/registration-card/", guests.registration_card, name="registration_card"),
    path("conditions/builder/", conditions.condition_builder, name="condition_builder"),
    *duplicates.urlpatterns,
    *imports.urlpatterns,
]
