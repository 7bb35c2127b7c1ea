"""What happened to a ticket cannot be altered, and a ticket goes only the ways there are."""

from django.db import migrations

CREATE = """
CREATE TRIGGER feedback_ticketevent_append_only
    BEFORE UPDATE OR DELETE ON feedback_ticketevent
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER feedback_ticketevent_no_truncate
    BEFORE TRUNCATE ON feedback_ticketevent
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

CREATE FUNCTION feedback_ticket_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status || ' ' || NEW.status) NOT IN (
        'open in_progress', 'open waiting', 'open closed', 'open withdrawn', 'open merged',
        'in_progress open', 'in_progress waiting', 'in_progress closed', 'in_progress withdrawn', 'in_progress merged',
        'waiting open', 'waiting in_progress', 'waiting closed', 'waiting withdrawn', 'waiting merged',
        'closed open', 'withdrawn open', 'merged open'
    ) THEN
        RAISE EXCEPTION 'ticket % does not go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'feedback_ticket_way';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER feedback_ticket_way
    BEFORE UPDATE OF status ON feedback_ticket
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION feedback_ticket_way();
"""

DROP = """
DROP TRIGGER feedback_ticket_way ON feedback_ticket;
DROP FUNCTION feedback_ticket_way();
DROP TRIGGER feedback_ticketevent_no_truncate ON feedback_ticketevent;
DROP TRIGGER feedback_ticketevent_append_only ON feedback_ticketevent;
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0004_handling"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(CREATE, DROP)]
