"""The audit trail cannot be altered; upper apps put the same guard on their own history."""

from django.db import migrations

CREATE = """
CREATE FUNCTION guike_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are history', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER hotels_auditentry_append_only
    BEFORE UPDATE OR DELETE ON hotels_auditentry
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER hotels_auditentry_no_truncate
    BEFORE TRUNCATE ON hotels_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
"""

DROP = """
DROP TRIGGER hotels_auditentry_no_truncate ON hotels_auditentry;
DROP TRIGGER hotels_auditentry_append_only ON hotels_auditentry;
DROP FUNCTION guike_refuse_change();
"""


class Migration(migrations.Migration):
    """Install the guard."""

    dependencies = [("hotels", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
