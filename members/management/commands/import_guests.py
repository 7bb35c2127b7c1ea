"""Check, and on demand apply, a file of guests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from hotels.models import Property
from members.models import ImportBatch
from members.rules.headers import FIELDS, duplicated_headers, recognize
from members.rules.sheets import SheetError
from members.selectors.imports import problems_of, wrong_rows_table
from members.services.imports import (
    ColumnsWrong,
    ImportRefused,
    approve_import,
    cancel_import,
    choose_columns,
    run_import,
    start_import,
)

SHOWN_ERRORS = 20


class Command(BaseCommand):
    """The same services as the staff page, without a worker."""

    help = "Check a CSV, XLSX or XLS file of guests; with --apply, import it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--property", required=True, metavar="CODE", help="property the guests are enrolled at")
        parser.add_argument(
            "--source", default="", metavar="NAME", help="system the file is from; its columns are remembered"
        )
        parser.add_argument("--apply", action="store_true", help="import what is right; otherwise only check")
        parser.add_argument("--errors", type=Path, metavar="OUT.csv", help="write wrong rows with reasons here")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="HEADER=FIELD",
            help=f"correct a guess; empty FIELD leaves the column out; fields: {', '.join(FIELDS)}",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Upload, map, check, apply, report."""
        try:
            place = Property.objects.select_related("brand").get(code=options["property"])
        except Property.DoesNotExist as error:
            msg = _("There is no property %(code)s.") % {"code": options["property"]}
            raise CommandError(msg) from error
        try:
            if options["errors"] is not None:
                # Said before the work, not after it.
                options["errors"].open("ab").close()
            with options["file"].open("rb") as file:
                batch = start_import(
                    actor=None,
                    now=timezone.now(),
                    place=place,
                    file_name=options["file"].name,
                    file=file,
                    source=options["source"],
                )
        except OSError as error:
            raise CommandError(str(error)) from error
        except SheetError as error:
            raise CommandError(error.message) from error
        try:
            self._check(batch, options)
        except BaseException:
            cancel_import(actor=None, now=timezone.now(), batch_id=batch.pk)
            raise

    def _check(self, batch: ImportBatch, options: dict[str, Any]) -> None:
        mapping = self._mapping(batch, options["column"])
        for index, header in enumerate(batch.headers):
            self.stdout.write(f"  {header or '-'} → {mapping.get(index) or _('left out')}")
        try:
            choose_columns(actor=None, now=timezone.now(), batch_id=batch.pk, mapping=mapping)
        except ColumnsWrong as error:
            raise CommandError("\n".join(str(message) for message in error.errors.values())) from error
        run_import(batch_id=batch.pk, now=timezone.now())
        batch.refresh_from_db()
        if batch.status == ImportBatch.Status.CHECKED and options["apply"]:
            try:
                approve_import(actor=None, now=timezone.now(), batch_id=batch.pk)
                run_import(batch_id=batch.pk, now=timezone.now())
            except ImportRefused as error:
                self.stdout.write(error.message)
            batch.refresh_from_db()
        self._report(batch, options["errors"])
        if batch.status == ImportBatch.Status.CHECKED:
            if not options["apply"]:
                self.stdout.write(_("Checked only; nothing was written. Run again with --apply to import."))
            cancel_import(actor=None, now=timezone.now(), batch_id=batch.pk)

    def _mapping(self, batch: ImportBatch, corrections: list[str]) -> dict[int, str]:
        mapping = {int(index): name for index, name in batch.mapping.items()}
        chosen = dict(correction.rpartition("=")[::2] for correction in corrections)
        for header, name in chosen.items():
            if header not in batch.headers:
                msg = _("The file has no column %(header)s.") % {"header": header}
                raise CommandError(msg)
            if name and name not in FIELDS:
                msg = _("There is no field %(field)s.") % {"field": name}
                raise CommandError(msg)
            mapping[batch.headers.index(header)] = name
        repeated = [h for h in duplicated_headers(batch.headers) if recognize(h) in FIELDS and h not in chosen]
        if repeated:
            msg = _("The column %(header)s stands twice. Rename one, or leave it out.") % {"header": repeated[0]}
            raise CommandError(msg)
        return {index: name for index, name in mapping.items() if name}

    def _report(self, batch: ImportBatch, out: Path | None) -> None:
        self.stdout.write(
            _("%(rows)d rows: %(new)d new, %(changed)d changed, %(same)d unchanged, %(wrong)d wrong")
            % {
                "rows": batch.row_count,
                "new": batch.create_count,
                "changed": batch.update_count,
                "same": batch.unchanged_count,
                "wrong": batch.error_count,
            }
        )
        for row in batch.rows.filter(action="error").order_by("row_number")[:SHOWN_ERRORS]:
            for problem in problems_of(row):
                self.stdout.write(f"  {row.row_number} {problem.column}: {problem.message}")
        if out is not None:
            with out.open("w", encoding="utf-8-sig", newline="") as file:
                csv.writer(file).writerows(wrong_rows_table(batch))
