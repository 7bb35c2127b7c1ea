"""Published versions of the earning rules are not altered: see `sql/0013_published_rules.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0013_published_rules.sql").read_text(encoding="utf-8")

DROP = """
DROP TRIGGER loyalty_earningrule_stays ON loyalty_earningrule;
DROP TRIGGER loyalty_earningruleset_stays ON loyalty_earningruleset;
DROP FUNCTION loyalty_guard_rule;
DROP FUNCTION loyalty_guard_rule_set;
"""


class Migration(migrations.Migration):
    """Install the guards."""

    dependencies = [("loyalty", "0012_earning_rules_of_sets")]

    operations = [migrations.RunSQL(SQL, DROP)]
