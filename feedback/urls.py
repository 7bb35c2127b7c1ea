"""Addresses of the staff pages of `feedback`."""

from django.urls import path

from feedback.views import actions, notices, tickets

app_name = "feedback"

urlpatterns = [
    path("guests/<uuid:public_id>/ticket/", tickets.open_ticket, name="open_ticket"),
    path("tickets/", tickets.tickets, name="tickets"),
    path("tickets/bulk/", actions.bulk, name="bulk"),
    path("tickets/handover/", notices.handover, name="handover"),
    path("tickets/notifications/", notices.notifications, name="notifications"),
    path("tickets/notifications/read/", notices.read_notifications, name="read_notifications"),
    path("tickets/<uuid:public_id>/", tickets.ticket, name="ticket"),
    path("tickets/<uuid:public_id>/withdraw/", tickets.withdraw, name="withdraw"),
    path("tickets/<uuid:public_id>/close/", tickets.close, name="close"),
    path("tickets/<uuid:public_id>/reopen/", tickets.reopen, name="reopen"),
    path("tickets/<uuid:public_id>/presence/", tickets.presence, name="presence"),
    path("tickets/<uuid:public_id>/note/", tickets.note, name="note"),
    path("tickets/<uuid:public_id>/take/", actions.take, name="take"),
    path("tickets/<uuid:public_id>/assign/", actions.assign, name="assign"),
    path("tickets/<uuid:public_id>/reply/", actions.reply, name="reply"),
    path("tickets/<uuid:public_id>/wait/", actions.wait, name="wait"),
    path("tickets/<uuid:public_id>/resume/", actions.resume, name="resume"),
    path("tickets/<uuid:public_id>/classify/", actions.classify, name="classify"),
    path("tickets/<uuid:public_id>/move/", actions.move, name="move"),
    path("tickets/<uuid:public_id>/split/", actions.split, name="split"),
    path("tickets/<uuid:public_id>/merge/", actions.merge, name="merge"),
    path("tickets/<uuid:public_id>/link/", actions.link, name="link"),
    path("tickets/<uuid:public_id>/attach/", actions.attach, name="attach"),
    path("tickets/<uuid:public_id>/files/<uuid:file_id>/", actions.attachment, name="attachment"),
    path("tickets/<uuid:public_id>/recover/", actions.recover, name="recover"),
    path("tickets/<uuid:public_id>/recoveries/<uuid:recovery_id>/undo/", actions.undo_recovery, name="undo_recovery"),
]
