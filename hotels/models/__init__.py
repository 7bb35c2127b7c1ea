"""Tables of the organisation, one noun a module."""

from hotels.models.access import Role, StaffAssignment, User
from hotels.models.api import ApiRequest
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
    "ApiRequest",
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
