"""The functions that post: see `sql/0005_ledger_posting.sql`."""

import re
from pathlib import Path

from django.db import migrations

FOLDER = Path(__file__).parent / "sql"


def _apply(match: re.Match[str]) -> str:
    """The applying statement without the named parts, each of which begins at ", name AS (" and ends at "), "."""
    statement = (FOLDER / "0005_ledger_apply.sql").read_text(encoding="utf-8")
    for part in filter(None, match["parts"].split(", ")):
        statement, found = re.subn(rf"\), {part} AS \(\n.*?\n(?=\), |\)\n)", "", statement, flags=re.DOTALL)
        if found != 1:
            message = f"the applying statement has no part {part}"
            raise ValueError(message)
    return statement


SQL = re.sub(r"@apply\((?P<parts>[a-z, ]*)\)", _apply, (FOLDER / "0005_ledger_posting.sql").read_text(encoding="utf-8"))

DROP = """
DROP TYPE loyalty_movement CASCADE;
DROP TYPE loyalty_effect CASCADE;
DROP TYPE loyalty_result CASCADE;
"""


class Migration(migrations.Migration):
    """Install types and functions."""

    dependencies = [("loyalty", "0004_ledger_guards")]

    operations = [migrations.RunSQL(SQL, DROP)]
