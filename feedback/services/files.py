"""Files on tickets: judged by their content, stored under a random name outside of everything that is served."""

from __future__ import annotations

import datetime as dt

from django.core.files.base import File
from django.db import transaction
from django.utils.translation import gettext as _

from feedback.models import Attachment, TicketEvent
from feedback.rules.files import MAX_BYTES, safe_name, type_of
from feedback.services.errors import FileRefused
from feedback.services.journal import locked, write
from hotels.models import User

# Of one ticket.
MAX_FILES = 20


def attach_file(*, actor: User | None, now: dt.datetime, ticket_id: int, name: str, content: File[bytes]) -> Attachment:
    """Put a file on a ticket.

    The file is written before the transaction, so that no lock is held meanwhile; it is removed again if the
    transaction fails.

    Args:
        actor: Who adds it.
        now: Aware instant.
        ticket_id: The ticket.
        name: What the sender calls it; only shown, never a path.
        content: The bytes.

    Raises:
        FileRefused: It is empty, too large, or not of a type that is taken, whatever its name says.
    """
    if not content.size:
        raise FileRefused(_("This file is empty."))
    if content.size > MAX_BYTES:
        raise FileRefused(_("A file is at most %(size)d MB.") % {"size": MAX_BYTES // 1024 // 1024})
    content.seek(0)
    content_type = type_of(content.read(32))
    content.seek(0)
    if not content_type:
        raise FileRefused(_("Only pictures, PDF, MP3 and MP4 are taken."))
    attachment = Attachment(
        ticket_id=ticket_id,
        name=safe_name(name, content_type),
        content_type=content_type,
        size_bytes=content.size,
        added_by=actor,
        added_at=now,
    )
    attachment.file.save(attachment.name, content, save=False)
    try:
        _record(attachment, actor=actor, now=now)
    except BaseException:
        attachment.file.delete(save=False)
        raise
    return attachment


@transaction.atomic
def _record(attachment: Attachment, *, actor: User | None, now: dt.datetime) -> None:
    ticket = locked(attachment.ticket_id)
    if Attachment.objects.filter(ticket=ticket).count() >= MAX_FILES:
        raise FileRefused(_("A ticket has at most %(count)d files.") % {"count": MAX_FILES})
    attachment.save()
    write(ticket, TicketEvent.Kind.ATTACHED, actor=actor, now=now, text=attachment.name)
