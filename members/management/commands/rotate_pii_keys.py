"""Encrypt personal data under the newest key: `manage.py rotate_pii_keys`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from members.services.key_rotation import rotate_keys
from members.services.vault import UnreadableCiphertext


class Command(BaseCommand):
    """Put the new key first in GUIKE_PII_KEYS, restart, run this, then the old key may go."""

    help = "Encrypts again, under the first key of GUIKE_PII_KEYS, what another key of the ring encrypted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One option."""
        parser.add_argument("--batch-size", type=int, default=5000, help="values in one transaction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Renew every place and say how much there was."""
        try:
            counts = rotate_keys(batch_size=options["batch_size"])
        except UnreadableCiphertext as error:
            message = "A value belongs to no key of GUIKE_PII_KEYS. Put the key that is missing back into the ring."
            raise CommandError(message) from error
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count}")
