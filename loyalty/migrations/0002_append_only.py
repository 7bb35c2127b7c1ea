"""What counted towards a tier, and each change of tier, cannot be altered afterwards."""

from django.db import migrations

TABLES = ["loyalty_qualificationentry", "loyalty_tierchange"]

CREATE = "".join(
    f"""
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
"""
    for table in TABLES
)
DROP = "".join(
    f"""
DROP TRIGGER {table}_no_truncate ON {table};
DROP TRIGGER {table}_append_only ON {table};
"""
    for table in TABLES
)


class Migration(migrations.Migration):
    """Install the guard of `hotels` on the history tables."""

    dependencies = [("loyalty", "0001_initial"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(CREATE, DROP)]
