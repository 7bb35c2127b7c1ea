"""A shorter way through the ledger for one plain earning or spending: see `sql/0007_ledger_single.sql`."""

from pathlib import Path

from django.db import migrations

BALANCE = """UPDATE loyalty_account x
            SET available = r.available, pending = r.pending, last_seq = r.seq, head_hash = v_hash
            WHERE x.id = r.account_id"""

POSTING = """INSERT INTO loyalty_posting (
                id, account_id, seq, kind, points, available_after, pending_after, held_after, debt_after,
                reversed_points, source_system, source_reference, source_line, request_client, request_key,
                request_hash, rule_version, explanation, occurred_at, business_date, property_id, actor_id, reason,
                previous_hash, hash)
            VALUES (r.posting_id, r.account_id, r.seq, r.kind, r.points, r.available, r.pending, r.held, r.debt,
                0, m.source_system, m.source_reference, m.source_line, m.request_client, m.request_key,
                m.request_hash, m.rule_version, m.explanation, m.occurred_at, v_booked, m.property_id, m.actor_id,
                m.reason, a.head_hash, v_hash)"""

TRAIL = """requested AS (
            INSERT INTO loyalty_requestkey (programme_id, client, key, posting_id)
            SELECT a.programme_id, m.request_client, m.request_key, r.posting_id WHERE m.request_key <> ''
        ), sourced AS (
            INSERT INTO loyalty_sourcekey (programme_id, system, reference, line, kind, account_id, posting_id)
            SELECT a.programme_id, m.source_system, m.source_reference, m.source_line, r.kind, r.account_id, r.posting_id
            WHERE m.source_reference <> ''
        ), audited AS (
            INSERT INTO hotels_auditentry (at, actor_id, action, object_type, object_id, object_label, property_id,
                before, after, reason, request_id, address)
            SELECT m.occurred_at, m.actor_id, 'points.' || r.kind, 'loyalty.account', r.account_id::text, a.number,
                m.property_id, jsonb_build_object('available', a.available),
                jsonb_build_object('available', r.available, 'points', r.points, 'posting', r.posting_id),
                m.reason, coalesce(m.trace_id, ''), m.address
            WHERE m.actor_id IS NOT NULL
        )"""

SQL = (
    (Path(__file__).parent / "sql" / "0007_ledger_single.sql")
    .read_text(encoding="utf-8")
    .replace("@balance", BALANCE)
    .replace("@posting", POSTING)
    .replace("@trail", TRAIL)
)

DROP = """
DROP FUNCTION loyalty_post_movements(jsonb, boolean);
ALTER FUNCTION loyalty_post_each(jsonb, boolean) RENAME TO loyalty_post_movements;
"""


class Migration(migrations.Migration):
    """Put the short way in front of the general one."""

    dependencies = [("loyalty", "0006_known_choices")]

    operations = [migrations.RunSQL(SQL, DROP)]
