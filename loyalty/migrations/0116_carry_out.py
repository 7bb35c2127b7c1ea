"""Taking all points off an account when two profiles become one: see `sql/0116_carry_out.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0116_carry_out.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """Install the function."""

    dependencies = [("loyalty", "0115_stored_value_guards")]

    operations = [migrations.RunSQL(SQL, "DROP FUNCTION loyalty_carry_out")]
