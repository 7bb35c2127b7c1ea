"""What the database refuses about settlements: see `sql/0101_settlement_guards.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0101_settlement_guards.sql").read_text(encoding="utf-8")
TRIGGERS = {
    "loyalty_settlementrun": ("closed", "kept", "no_truncate"),
    "loyalty_settlementitem": ("open", "append_only", "no_truncate"),
    "loyalty_settlementline": ("open", "append_only", "no_truncate"),
    "loyalty_settlementrate": ("append_only", "no_truncate"),
}
DROP = "".join(
    f"DROP TRIGGER {table}_{name} ON {table};\n" for table, names in TRIGGERS.items() for name in names
) + "DROP FUNCTION loyalty_check_settlementrows; DROP FUNCTION loyalty_check_settlementrun;"


class Migration(migrations.Migration):
    """Install the functions and the triggers."""

    dependencies = [("loyalty", "0100_settlement"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(SQL, DROP)]
