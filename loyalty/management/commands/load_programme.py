"""`manage.py load_programme FILE`: a programme as data."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loyalty.rules.programme_documents import InvalidProgramme
from loyalty.services.programmes import LoadedProgramme, load_programme


class Command(BaseCommand):
    """Load a programme from a JSON document, whole or not at all.

    The first time the programme is made, with its rules in force from the document's date. The same document
    again changes nothing. Other rules become a draft, to be looked at and published from a date; what else
    differs is refused with its place.
    """

    help = "Load a programme (tiers, policies, earning rules) from a JSON document; safe to repeat."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the file and the code."""
        parser.add_argument("file", type=Path, help="the document; docs/programmes has some")
        parser.add_argument("--code", default="", help="code of the programme in place of that in the document")

    def handle(self, **options: Any) -> None:
        """Read, load, report."""
        try:
            document = json.loads(options["file"].read_text("utf-8"), parse_float=Decimal)
        except (OSError, ValueError) as error:
            message = f"{options['file']} cannot be read: {error}"
            raise CommandError(message) from error
        try:
            loaded = load_programme(actor=None, now=timezone.now(), document=document, programme_code=options["code"])
        except InvalidProgramme as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{loaded.programme.code}: {_told(loaded)}")


def _told(loaded: LoadedProgramme) -> str:
    rule_set = loaded.rule_set
    if loaded.outcome == "created":
        return f"created, {loaded.programme.tiers.count()} tiers, rules in force from {rule_set.effective_from}"
    if loaded.outcome == "drafted":
        return f"the rules differ: draft {rule_set.number} waits to be published from a date"
    return f"nothing to change, version {rule_set.number} has these rules"
