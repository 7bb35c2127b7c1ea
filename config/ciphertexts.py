"""Ciphertext that the composition root is responsible for, renewed when the keys rotate."""

from __future__ import annotations

import base64

from allauth.mfa.models import Authenticator
from django.db import transaction

from members.services.key_rotation import is_outdated, register_ciphertexts, renewed

# Where allauth keeps what `StaffMFAAdapter` encrypted: a TOTP secret, the seed of recovery codes.
SECRET_FIELDS = ("secret", "seed")


@transaction.atomic
def renew_second_factors(_batch_size: int) -> int:
    """Encrypt the secrets of second factors again; returns how many had an older key."""
    count = 0
    for authenticator in Authenticator.objects.select_for_update().order_by("pk"):
        for name in SECRET_FIELDS:
            if name not in authenticator.data:
                continue
            ciphertext = base64.b64decode(authenticator.data[name])
            if is_outdated(ciphertext):
                authenticator.data[name] = base64.b64encode(renewed(ciphertext)).decode()
                authenticator.save(update_fields=["data"])
                count += 1
    return count


def register() -> None:
    """Make `rotate_pii_keys` know of the second factors."""
    register_ciphertexts("second factors", renew_second_factors)
