"""Taking all points off an account when two profiles become one: see `sql/0130_carry_out.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0130_carry_out.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """Install the function."""

    dependencies = [("loyalty", "0061_benefit_quantity_given")]

    operations = [migrations.RunSQL(SQL, "DROP FUNCTION loyalty_carry_out")]
