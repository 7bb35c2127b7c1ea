"""Find guests who are probably one person: `manage.py link_guests`."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from members.services.linkage import LinkageRunning, request_linkage, run_linkage


class Command(BaseCommand):
    """Carries the search out in this process; the page starts it in a worker."""

    help = "Compares all guests, merges who is certainly one person, and leaves the rest to be looked at."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One option."""
        parser.add_argument("--threads", type=int, default=2, help="threads of the comparison")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run and say what was found."""
        now = timezone.now()
        # One that waits because no worker took it is carried out here.
        with suppress(LinkageRunning):
            request_linkage(actor=None, now=now)
        run = run_linkage(now=now, threads=options["threads"])
        if run is None:
            message = "Another worker has taken the search."
            raise CommandError(message)
        self.stdout.write(f"guests: {run.guest_count}\nmerged: {run.merged_count}\nto review: {run.review_count}")
