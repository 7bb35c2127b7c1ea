"""Files that leave the house: what every export shares."""

from __future__ import annotations

import re
from typing import Any

from import_export import resources
from import_export.formats.base_formats import CSV, XLSX
from import_export.resources import ModelResource

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection"); with Chinese
# and Japanese settings also with their full-width forms.
FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

EXPORT_FORMATS = [XLSX, CSV]

__all__ = ["EXPORT_FORMATS", "SafeResource", "neutralize", "resources"]


def neutralize(cell: Any) -> Any:
    """The cell with a leading apostrophe if a spreadsheet would run it as a formula; numbers stay numbers."""
    if isinstance(cell, str) and cell.startswith(FORMULA_START) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


class SafeResource(ModelResource):  # type: ignore[misc]
    """Rows of an export, with translated column names and no cell that runs as a formula."""

    def export_resource(self, instance: Any, selected_fields: Any = None, **kwargs: Any) -> list[Any]:
        """The cells of one row."""
        return [neutralize(cell) for cell in super().export_resource(instance, selected_fields, **kwargs)]
