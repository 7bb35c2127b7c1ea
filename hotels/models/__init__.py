"""Tables of the organisation, one noun a module."""

from hotels.models.access import Role, StaffAssignment, User
from hotels.models.api import ApiRequest
from hotels.models.audit import AuditEntry
from hotels.models.draft import Draft
from hotels.models.organisation import (
    BilingualName,
    Brand,
    Department,
    ExchangeRate,
    HotelGroup,
    Property,
    RoomType,
)
from hotels.models.presence import Presence

__all__ = [
    "ApiRequest",
    "AuditEntry",
    "BilingualName",
    "Brand",
    "Department",
    "Draft",
    "ExchangeRate",
    "HotelGroup",
    "Presence",
    "Property",
    "Role",
    "RoomType",
    "StaffAssignment",
    "User",
]
