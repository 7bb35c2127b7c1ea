"""What the database refuses in the ledger: see `sql/0004_ledger_guards.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0004_ledger_guards.sql").read_text(encoding="utf-8")

# Going back leaves the ledger without guards only until the tables go as well, so they must be empty.
DROP = """
DO $$
DECLARE
    v record;
BEGIN
    IF EXISTS (SELECT 1 FROM loyalty_posting) THEN
        RAISE EXCEPTION 'the ledger holds postings: it is not taken down';
    END IF;
    FOR v IN
        SELECT t.tgname, t.tgrelid::regclass AS name FROM pg_trigger t
        WHERE NOT t.tgisinternal AND t.tgrelid IN (
            'loyalty_account'::regclass, 'loyalty_posting'::regclass, 'loyalty_lot'::regclass, 'loyalty_lotmove'::regclass,
            'loyalty_hold'::regclass, 'loyalty_requestkey'::regclass, 'loyalty_sourcekey'::regclass)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', v.tgname, v.name);
    END LOOP;
END $$;
DROP INDEX loyalty_lot_lapse;
DROP FUNCTION loyalty_check_accounts;
DROP FUNCTION loyalty_check_postings;
DROP FUNCTION loyalty_check_lots;
DROP FUNCTION loyalty_check_moves;
DROP FUNCTION loyalty_check_holds;
DROP FUNCTION loyalty_check_reopening;
DROP FUNCTION loyalty_posting_hash;
DROP FUNCTION loyalty_refuse;
"""


class Migration(migrations.Migration):
    """Install keys, guards and triggers."""

    dependencies = [("loyalty", "0003_ledger"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(SQL, DROP)]
