"""`manage.py seed_demo`: makes the demo hotel group, the same every time for the same day."""

from __future__ import annotations

import argparse
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from config.demo.seed import seed
from hotels.models import HotelGroup, User
from members.models import Guest

ALLOWED_SETTINGS = ("config.settings.development", "config.settings.test")


class Command(BaseCommand):
    """Makes the demo group in one transaction: whole, or not at all."""

    help = "Make the demo hotel group with guests, stays and points (development only)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How many guests, and whether data that are there already are an error."""
        parser.add_argument("--guests", type=int, default=3000, help="number of guests (default: 3000)")
        parser.add_argument("--if-empty", action="store_true", help="do nothing when a hotel group is there already")

    def handle(self, **options: Any) -> None:
        """Seed an empty development database; refuse any other."""
        if settings.SETTINGS_MODULE not in ALLOWED_SETTINGS:
            message = f"The demo's passwords are public: it is not made under {settings.SETTINGS_MODULE}."
            raise CommandError(message)
        if HotelGroup.objects.exists() and options["if_empty"]:
            self.stdout.write("There is a hotel group already.")
            return
        if HotelGroup.objects.exists() or Guest.objects.exists() or User.objects.exists():
            message = "This database has data already: the demo is made in an empty one only."
            raise CommandError(message)
        started = time.monotonic()
        seed(guests=options["guests"], now=timezone.now(), say=self.stdout.write)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        self.stdout.write(f"Made in {time.monotonic() - started:.0f} s.")
