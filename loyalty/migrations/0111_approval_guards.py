"""A request says for ever what was asked for and is decided once; movements are history, but for their review."""

from django.db import migrations

CREATE = """
CREATE FUNCTION loyalty_check_approvalrequest() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_before jsonb;
    v_after jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'pending' THEN
            RAISE EXCEPTION 'a request begins undecided' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    v_before := to_jsonb(OLD) - '{state,decided_by_id,decided_at,note,reference,failure}'::text[];
    v_after := to_jsonb(NEW) - '{state,decided_by_id,decided_at,note,reference,failure}'::text[];
    IF v_before IS DISTINCT FROM v_after THEN
        RAISE EXCEPTION 'what request % asks for cannot be altered', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'pending' OR NEW.state = 'pending' THEN
        RAISE EXCEPTION 'request % is decided once', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER loyalty_approvalrequest_change
    BEFORE INSERT OR UPDATE ON loyalty_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_approvalrequest();
CREATE TRIGGER loyalty_approvalrequest_kept
    BEFORE DELETE ON loyalty_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_approvalrequest_no_truncate
    BEFORE TRUNCATE ON loyalty_approvalrequest
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

CREATE FUNCTION loyalty_check_movementrecord() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) - '{reviewed_by_id,reviewed_at,review_note}'::text[]
       IS DISTINCT FROM to_jsonb(NEW) - '{reviewed_by_id,reviewed_at,review_note}'::text[]
       OR OLD.reviewed_at IS NOT NULL THEN
        RAISE EXCEPTION 'movement % is history', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER loyalty_movementrecord_change
    BEFORE UPDATE ON loyalty_movementrecord
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_movementrecord();
CREATE TRIGGER loyalty_movementrecord_kept
    BEFORE DELETE ON loyalty_movementrecord
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_movementrecord_no_truncate
    BEFORE TRUNCATE ON loyalty_movementrecord
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
"""

DROP = """
DROP TRIGGER loyalty_movementrecord_no_truncate ON loyalty_movementrecord;
DROP TRIGGER loyalty_movementrecord_kept ON loyalty_movementrecord;
DROP TRIGGER loyalty_movementrecord_change ON loyalty_movementrecord;
DROP FUNCTION loyalty_check_movementrecord();
DROP TRIGGER loyalty_approvalrequest_no_truncate ON loyalty_approvalrequest;
DROP TRIGGER loyalty_approvalrequest_kept ON loyalty_approvalrequest;
DROP TRIGGER loyalty_approvalrequest_change ON loyalty_approvalrequest;
DROP FUNCTION loyalty_check_approvalrequest();
"""


class Migration(migrations.Migration):
    """Install the guards."""

    dependencies = [("loyalty", "0110_approvals"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(CREATE, DROP)]
