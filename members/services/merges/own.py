"""What becomes of the rows of `members` when two profiles become one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Max, Model

from members.models import (
    Consent,
    Guest,
    GuestIdentity,
    GuestMerge,
    GuestTag,
    ImportRow,
    MergeCandidate,
    NotSamePerson,
    Preference,
    Reservation,
    Stay,
)
from members.services.merges.registry import Keeps, MergeScope, MoveRows, register_merge_handler

# What the survivor takes over where it has nothing itself.
FILLED = ("gender", "birthday", "nationality", "language", "company")


class Profiles:
    """The row of the guest: empty fields are filled, the sign-in account and the redirection."""

    model: type[Model] = Guest
    field = "merged_into"

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Fill the survivor's gaps and send whoever asks for the other profile there."""
        survivor, merged = scope.merge.survivor, scope.merge.merged
        filled = {
            name: getattr(merged, name) for name in FILLED if not getattr(survivor, name) and getattr(merged, name)
        }
        account = merged.user_id if merged.user_id and not survivor.user_id else None
        Guest.objects.filter(pk=merged.pk).update(
            merged_into=survivor, user=None if account else merged.user_id, updated_at=scope.now
        )
        changes: dict[str, Any] = {**filled, **({"user": account} if account else {})}
        if changes:
            Guest.objects.filter(pk=survivor.pk).update(**changes)
        return {"filled": {name: _plain(value) for name, value in filled.items()}, "user": account}

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Empty again what was filled and not changed since."""
        survivor, merged = scope.merge.survivor, scope.merge.merged
        emptied: dict[str, Any] = {
            name: None if name == "birthday" else ""
            for name, value in moved["filled"].items()
            if _plain(getattr(survivor, name)) == value
        }
        account = moved["user"] if moved["user"] and moved["user"] == survivor.user_id else None
        if account:
            emptied["user"] = None
        if emptied:
            Guest.objects.filter(pk=survivor.pk).update(**emptied)
        back: dict[str, Any] = {"user": account} if account else {}
        Guest.objects.filter(pk=merged.pk).update(merged_into=None, updated_at=scope.now, **back)


class Identities(MoveRows):
    """Everything the guest is known by finds the survivor; of two primary ones of a kind the survivor's stays so."""

    __slots__ = ()

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Let primary ones step back before they move."""
        survivor, merged = scope.merge.survivor_id, scope.merge.merged_id
        primary = GuestIdentity.objects.filter(guest=survivor, is_primary=True).values("kind")
        doubled = GuestIdentity.objects.filter(guest=merged, is_primary=True, kind__in=primary)
        stepped_back = list(doubled.order_by("pk").values_list("pk", flat=True))
        GuestIdentity.objects.filter(pk__in=stepped_back).update(is_primary=False)
        return {**super().merge(scope), "stepped_back": stepped_back}

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Give the identities back; those that stepped back are primary again."""
        super().undo(scope, moved)
        GuestIdentity.objects.filter(pk__in=moved["stepped_back"], guest=scope.merge.merged_id).update(is_primary=True)


class Consents(MoveRows):
    """All answers move, and where the newest of either profile was a refusal, a refusal is the newest."""

    __slots__ = ()

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Move the answers; the stricter one of each purpose and channel wins."""
        newest: dict[tuple[str, str], list[Consent]] = {}
        for guest_id in (scope.merge.survivor_id, scope.merge.merged_id):
            answers = Consent.objects.filter(guest=guest_id).order_by("purpose", "channel", "-recorded_at", "-pk")
            for answer in answers.distinct("purpose", "channel"):
                newest.setdefault((answer.purpose, answer.channel), []).append(answer)
        moved: dict[str, Any] = dict(super().merge(scope))
        refusals = []
        for both in newest.values():
            refused = [answer for answer in both if not answer.granted]
            latest = max(both, key=lambda answer: (answer.recorded_at, answer.pk))
            if refused and latest.granted:
                refusals.append(
                    Consent(
                        guest=scope.merge.survivor,
                        purpose=latest.purpose,
                        channel=latest.channel,
                        granted=False,
                        text_version=refused[0].text_version,
                        source="merge",
                        recorded_at=max(scope.now, latest.recorded_at),
                        recorded_by=scope.actor,
                    )
                )
        moved["refusals"] = [consent.pk for consent in Consent.objects.bulk_create(refusals)]
        return moved

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Give the answers back and take the refusals away that only the merge made."""
        Consent.objects.filter(pk__in=moved["refusals"]).delete()
        super().undo(scope, moved)


class Stays(MoveRows):
    """Stays move, and with them the date of the last one."""

    __slots__ = ()

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Move the stays and recount."""
        moved = super().merge(scope)
        self._recount(scope)
        return moved

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Give the stays back and recount."""
        super().undo(scope, moved)
        self._recount(scope)

    @staticmethod
    def _recount(scope: MergeScope) -> None:
        for guest in (scope.merge.survivor, scope.merge.merged):
            finished = Stay.objects.filter(guest=guest).exclude(status=Stay.Status.VOIDED)
            newest = finished.aggregate(newest=Max("departure_date"))["newest"]
            if newest is not None:
                Guest.objects.filter(pk=guest.pk).update(last_stay_date=newest)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else value


def register() -> None:
    """Register what becomes of the rows of `members`."""
    register_merge_handler(Profiles())
    register_merge_handler(Identities(GuestIdentity, "guest"))
    register_merge_handler(Consents(Consent, "guest"))
    register_merge_handler(MoveRows(Preference, "guest", unique=[("category", "text")]))
    register_merge_handler(MoveRows(GuestTag, "guest", unique=[("tag",)]))
    register_merge_handler(MoveRows(Reservation, "guest"))
    register_merge_handler(Stays(Stay, "guest"))
    register_merge_handler(MoveRows(ImportRow, "guest"))
    for field in ("survivor", "merged"):
        register_merge_handler(Keeps(GuestMerge, field, "The history of merges says what happened to which profile."))
    for model in (NotSamePerson, MergeCandidate):
        for field in ("first", "second"):
            register_merge_handler(Keeps(model, field, "A judgment about two profiles as they were."))
