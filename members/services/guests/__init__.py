"""Guest profiles and what identifies them: the only writes to guests, identities and consents."""

from members.services.guests.bulk import (
    PROFILE_COLUMNS,
    GuestResult,
    GuestTrace,
    check_guests,
    create_guests,
    write_profiles,
)
from members.services.guests.identities import (
    REVEAL_REFUSED,
    IdentityNotFound,
    RevealLimitReached,
    add_identity,
    add_membership_numbers,
    remove_identity,
    reveal_identity,
)
from members.services.guests.inputs import (
    CheckedGuest,
    ConsentInput,
    GuestInput,
    GuestInputError,
    IdentityTaken,
    NormalGuestInput,
    Problem,
    check_guest,
)
from members.services.guests.profile import GuestNotFound, StaleRecord, create_guest, record_consent, update_guest

__all__ = [
    "PROFILE_COLUMNS",
    "REVEAL_REFUSED",
    "CheckedGuest",
    "ConsentInput",
    "GuestInput",
    "GuestInputError",
    "GuestNotFound",
    "GuestResult",
    "GuestTrace",
    "IdentityNotFound",
    "IdentityTaken",
    "NormalGuestInput",
    "Problem",
    "RevealLimitReached",
    "StaleRecord",
    "add_identity",
    "add_membership_numbers",
    "check_guest",
    "check_guests",
    "create_guest",
    "create_guests",
    "record_consent",
    "remove_identity",
    "reveal_identity",
    "update_guest",
    "write_profiles",
]
