"""Classes of stored value in the ledger, and guards: see `sql/0115_stored_value_guards.sql`."""

import re
from pathlib import Path

from django.db import migrations

FOLDER = Path(__file__).parent / "sql"
SQL = (FOLDER / "0115_stored_value_guards.sql").read_text(encoding="utf-8")
BEFORE = re.search(
    r"CREATE FUNCTION loyalty_lot_sound\(.*?\nEND \$\$;\n",
    (FOLDER / "0008_ledger_guards.sql").read_text(encoding="utf-8"),
    flags=re.DOTALL,
)[0].replace("CREATE", "CREATE OR REPLACE", 1)

DROP = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM loyalty_storedvaluemovement) THEN
        RAISE EXCEPTION 'stored value was topped up: its tables are not taken down';
    END IF;
END $$;
DROP TRIGGER loyalty_storedvaluemovement_no_truncate ON loyalty_storedvaluemovement;
DROP TRIGGER loyalty_storedvaluemovement_stays ON loyalty_storedvaluemovement;
DROP TRIGGER loyalty_storedvaluemovement_kept ON loyalty_storedvaluemovement;
"""


class Migration(migrations.Migration):
    """Extend the function and install the triggers."""

    dependencies = [("loyalty", "0114_stored_value"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(SQL, DROP + BEFORE)]
