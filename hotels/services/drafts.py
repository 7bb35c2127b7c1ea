"""Drafts: what a user typed into a form and did not send, kept on the server for some days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import Draft, User

KEPT = dt.timedelta(days=7)
# A save that was under way when the form was sent arrives within this.
SENT_REMEMBERED = dt.timedelta(hours=1)
LONGEST = 8000
_BATCH = 5000


class DraftRefused(Exception):
    """There is no form of this name that keeps drafts."""

    code = "draft_unknown"

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(_("This form keeps no drafts."))


@dataclass(frozen=True, slots=True)
class DraftForm:
    """A form that keeps drafts.

    Attributes:
        fields: What is kept; nothing else that a browser sends is stored.
        texts: Of these, what somebody typed; a draft without any of it is none.
    """

    fields: tuple[str, ...]
    texts: tuple[str, ...]


FORMS: dict[str, DraftForm] = {}


def register_draft_form(name: str, form: DraftForm) -> None:
    """Let a form keep drafts; called by an app when it is ready."""
    FORMS[name] = form


@transaction.atomic
def save_draft(
    *, actor: User, now: dt.datetime, form: str, object_id: UUID, content: Mapping[str, str], key: UUID | None = None
) -> Draft | None:
    """Keep what is in the form now; an empty form keeps nothing.

    Args:
        actor: Whose draft it is; nobody else ever reads it.
        now: Aware instant.
        form: Name of a registered form.
        object_id: Public id of the record the form is about.
        content: Fields as the browser sends them; unknown ones are dropped, long ones cut.
        key: The opening of the form. If that opening was sent already, nothing is kept.

    Returns:
        The stored draft; None if there is nothing to keep.

    Raises:
        DraftRefused: No such form keeps drafts.
    """
    kept = FORMS.get(form)
    if kept is None:
        raise DraftRefused
    values = {
        name: text.replace("\x00", "")[:LONGEST]
        for name in kept.fields
        if isinstance(text := content.get(name), str) and text
    }
    draft = _locked(actor, form, object_id, now)
    if key is not None and draft.sent_key == key:
        return None
    if not any(values.get(name, "").strip() for name in kept.texts):
        draft.delete()
        return None
    draft.content, draft.sent_key, draft.updated_at, draft.expires_at = values, None, now, now + KEPT
    draft.save(update_fields=["content", "sent_key", "updated_at", "expires_at"])
    return draft


@transaction.atomic
def discard_draft(*, actor: User, now: dt.datetime, form: str, object_id: UUID, key: UUID | None = None) -> None:
    """Forget a draft: its form was sent, or the user wants it no more.

    Args:
        actor: Whose draft.
        now: Aware instant.
        form: Name of the form.
        object_id: Public id of the record.
        key: The opening that was sent; an automatic save of it that arrives later is ignored.
    """
    if key is None:
        Draft.objects.filter(user=actor, form=form, object_id=object_id).delete()
        return
    draft = _locked(actor, form, object_id, now)
    draft.content, draft.sent_key, draft.updated_at, draft.expires_at = {}, key, now, now + SENT_REMEMBERED
    draft.save(update_fields=["content", "sent_key", "updated_at", "expires_at"])


def delete_old_drafts(*, now: dt.datetime) -> int:
    """Forget drafts that nobody came back to, each batch in a transaction of its own; safe to break off."""
    old = Draft.objects.filter(expires_at__lte=now).order_by("expires_at").values("pk")
    total = 0
    while deleted := Draft.objects.filter(pk__in=old[:_BATCH]).delete()[0]:
        total += deleted
    return total


def _locked(actor: User, form: str, object_id: UUID, now: dt.datetime) -> Draft:
    """The row, made if missing, so that two windows of one user follow each other."""
    row = Draft(user=actor, form=form, object_id=object_id, updated_at=now, expires_at=now)
    Draft.objects.bulk_create([row], ignore_conflicts=True)
    return Draft.objects.select_for_update(no_key=True).get(user=actor, form=form, object_id=object_id)
