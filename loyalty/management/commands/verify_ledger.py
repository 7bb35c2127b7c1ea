"""`manage.py verify_ledger`: prove every sum of the ledger over the whole database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from loyalty.selectors.verification import verify_ledger


class Command(BaseCommand):
    """Prints each check with the number of differences; fails when there is one."""

    help = "Prove the ledger: guards in place, balances, lots, moves, holds, keys, reversals and the hash chain."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run every check."""
        differences = 0
        for finding in verify_ledger():
            self.stdout.write(f"{'ok  ' if not finding.differences else 'FAIL'} {finding.check}: {finding.differences}")
            for sample in finding.samples:
                self.stdout.write(f"       {sample}")
            differences += finding.differences
        if differences:
            message = f"The ledger does not add up: {differences} differences."
            raise CommandError(message)
        self.stdout.write("The ledger adds up.")
