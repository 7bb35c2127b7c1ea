"""Issue an API token for an integration client or a guest's account."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from hotels.models import User
from hotels.services.tokens import AccountDisabled, issue_token


class Command(BaseCommand):
    """Prints the token once; only its hash is stored."""

    help = "Issue an API token for a user and print it once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--user", required=True, help="user name")
        parser.add_argument("--expires", type=int, metavar="DAYS", help="days until the token ends; default never")
        parser.add_argument("--replace", action="store_true", help="the user's earlier tokens stop working")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Find the user, issue, print."""
        if options["expires"] is not None and options["expires"] < 1:
            msg = "--expires takes a number of days, 1 or more."
            raise CommandError(msg)
        try:
            user = User.objects.get(username=options["user"])
            token = issue_token(
                actor=None,
                now=timezone.now(),
                user=user,
                lifetime=dt.timedelta(days=options["expires"]) if options["expires"] else None,
                replace=options["replace"],
            )
        except User.DoesNotExist as error:
            msg = f"There is no user {options['user']}."
            raise CommandError(msg) from error
        except AccountDisabled as error:
            raise CommandError(str(error.message)) from error
        self.stdout.write(token)
