"""The functions that post: see `sql/0005_ledger_posting.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0005_ledger_posting.sql").read_text(encoding="utf-8")

DROP = """
DROP TYPE loyalty_movement CASCADE;
DROP TYPE loyalty_effect CASCADE;
DROP TYPE loyalty_result CASCADE;
"""


class Migration(migrations.Migration):
    """Install types and functions."""

    dependencies = [("loyalty", "0004_ledger_guards")]

    operations = [migrations.RunSQL(SQL, DROP)]
