"""Expiry by inactivity and the batches of the jobs: see `sql/0032_expiry.sql`."""

import re
from pathlib import Path

from django.db import migrations

FOLDER = Path(__file__).parent / "sql"
PLAN = re.search(
    r"CREATE FUNCTION loyalty_plan_due\(.*?\nEND \$\$;",
    (FOLDER / "0005_ledger_posting.sql").read_text(encoding="utf-8"),
    re.DOTALL,
)[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
OWN_DATE = "AND l.expires_on < m.business_date"
ANY_DATE = (
    "AND (l.expires_on < m.business_date"
    " OR (m.explanation ? 'inactive_since' AND l.lot_class IN ('earned', 'bonus')))"
)
if PLAN.count(OWN_DATE) != 1:
    message = "the plan of what is due no longer says which lots lapsed"
    raise ValueError(message)

SQL = (FOLDER / "0032_expiry.sql").read_text(encoding="utf-8").replace("@plan_due", PLAN.replace(OWN_DATE, ANY_DATE))

DROP = f"""
DROP TRIGGER loyalty_expirynotice_given ON loyalty_expirynotice;
DROP TRIGGER loyalty_expirynotice_no_truncate ON loyalty_expirynotice;
DROP FUNCTION loyalty_post_movements(jsonb, boolean);
ALTER FUNCTION loyalty_post_settled(jsonb, boolean) RENAME TO loyalty_post_movements;
DROP FUNCTION loyalty_book_inactivity;
{PLAN}
DROP FUNCTION loyalty_post_due;
DROP FUNCTION loyalty_due_movement;
DROP FUNCTION loyalty_inactive_accounts;
DROP FUNCTION loyalty_inactivity;
"""


class Migration(migrations.Migration):
    """Install the functions."""

    dependencies = [("loyalty", "0031_jobs"), ("members", "0001_initial")]

    operations = [migrations.RunSQL(SQL, DROP)]
