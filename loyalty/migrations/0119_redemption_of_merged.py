"""Redemptions go along when two profiles become one: see `sql/0119_redemption_of_merged.sql`."""

import re
from pathlib import Path

from django.db import migrations

FOLDER = Path(__file__).parent / "sql"
SQL = (FOLDER / "0119_redemption_of_merged.sql").read_text(encoding="utf-8")
BEFORE = re.search(
    r"CREATE FUNCTION loyalty_check_redemption\(.*?\nEND \$\$;\n",
    (FOLDER / "0081_rewards.sql").read_text(encoding="utf-8"),
    flags=re.DOTALL,
)[0].replace("CREATE", "CREATE OR REPLACE", 1)


class Migration(migrations.Migration):
    """Let a merge change whose a redemption is."""

    dependencies = [("loyalty", "0118_transfer_guards"), ("members", "0022_merges")]

    operations = [migrations.RunSQL(SQL, BEFORE)]
