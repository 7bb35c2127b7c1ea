"""Earnings that were reversed whole no longer keep points alive."""

import re
from pathlib import Path

from django.db import migrations

TEXT = (Path(__file__).parent / "sql" / "0032_expiry.sql").read_text(encoding="utf-8")
FUNCTIONS = "\n".join(
    re.search(rf"CREATE FUNCTION {name}\(.*?\n\$\$;", TEXT, re.DOTALL)[0].replace(
        "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
    )
    for name in ("loyalty_inactivity", "loyalty_inactive_accounts")
)
EARNED = "(g.inactivity_counts_earning AND p.kind IN ('earn', 'bonus'))"
KEPT = """(g.inactivity_counts_earning AND p.kind IN ('earn', 'bonus')
                        AND p.points > coalesce((
                            SELECT sum(r.reversed_points) FROM loyalty_posting r WHERE r.reverses_id = p.id), 0))"""
# In the predicate and in what sorts out whom it cannot hold for.
if FUNCTIONS.count(EARNED) != 2:  # noqa: PLR2004
    message = "the predicate of inactivity no longer says which earnings count"
    raise ValueError(message)


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0111_approval_guards")]

    operations = [migrations.RunSQL(FUNCTIONS.replace(EARNED, KEPT), FUNCTIONS)]
