"""A transfer is undone once; nothing else of it changes."""

from django.db import migrations

SQL = """
CREATE TRIGGER loyalty_pointstransfer_kept BEFORE UPDATE ON loyalty_pointstransfer
    FOR EACH ROW WHEN (
        OLD.undone_at IS NOT NULL OR NEW.undone_at IS NULL
        OR (OLD.id, OLD.public_id, OLD.giver_id, OLD.receiver_id, OLD.policy_id, OLD.property_id, OLD.points,
            OLD.fee_points, OLD.made_on, OLD.made_at, OLD.actor_id, OLD.reason)
        IS DISTINCT FROM
           (NEW.id, NEW.public_id, NEW.giver_id, NEW.receiver_id, NEW.policy_id, NEW.property_id, NEW.points,
            NEW.fee_points, NEW.made_on, NEW.made_at, NEW.actor_id, NEW.reason))
    EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_pointstransfer_stays BEFORE DELETE ON loyalty_pointstransfer
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_pointstransfer_no_truncate BEFORE TRUNCATE ON loyalty_pointstransfer
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
"""
DROP = """
DROP TRIGGER loyalty_pointstransfer_no_truncate ON loyalty_pointstransfer;
DROP TRIGGER loyalty_pointstransfer_stays ON loyalty_pointstransfer;
DROP TRIGGER loyalty_pointstransfer_kept ON loyalty_pointstransfer;
"""


class Migration(migrations.Migration):
    """Install the triggers."""

    dependencies = [("loyalty", "0117_transfers"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(SQL, DROP)]
