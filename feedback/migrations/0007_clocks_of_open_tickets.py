"""Tickets that were open before there were clocks get one that is due when they were."""

from django.db import migrations

FILL = """
INSERT INTO feedback_ticketclock
    (ticket_id, metric, number, target_minutes, started_at, counted_seconds, running_since, due_at, outcome)
SELECT id, 'resolution', 1, greatest(1, extract(epoch FROM due_at - opened_at)::int / 60), opened_at, 0, opened_at,
    due_at, 'running'
FROM feedback_ticket WHERE closed_at IS NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0006_public_holidays")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
