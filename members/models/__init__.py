"""Tables about guests, one noun a module."""

from members.models.guest import Consent, Guest, GuestTag, Preference, Tag
from members.models.identity import GuestIdentity
from members.models.imports import ImportBatch, ImportRow, ImportSource
from members.models.merge import GuestMerge, LinkageRun, MergeCandidate, NotSamePerson
from members.models.stay import FolioLine, Reservation, RevenueCategory, Stay

__all__ = [
    "Consent",
    "FolioLine",
    "Guest",
    "GuestIdentity",
    "GuestMerge",
    "GuestTag",
    "ImportBatch",
    "ImportRow",
    "ImportSource",
    "LinkageRun",
    "MergeCandidate",
    "NotSamePerson",
    "Preference",
    "Reservation",
    "RevenueCategory",
    "Stay",
    "Tag",
]
