"""Tables of the organisation, one noun a module."""

from hotels.models.access import Role, StaffAssignment, User
from hotels.models.audit import AuditEntry
from hotels.models.organisation import (
    BilingualName,
    Brand,
    Department,
    ExchangeRate,
    HotelGroup,
    Property,
    RoomType,
)

__all__ = [
    "AuditEntry",
    "BilingualName",
    "Brand",
    "Department",
    "ExchangeRate",
    "HotelGroup",
    "Property",
    "Role",
    "RoomType",
    "StaffAssignment",
    "User",
]
