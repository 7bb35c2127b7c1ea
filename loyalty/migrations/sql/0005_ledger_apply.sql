-- Applies one round: account, posting, lots, moves, hold, keys and audit entry in ONE statement, at the end of
-- which the guards of 0004 look at the result.
RETURN QUERY WITH p AS MATERIALIZED (
    SELECT q.*, loyalty_posting_hash(
        q.previous_hash, q.id, q.account_id, q.seq, q.kind, q.delta, q.available_after, q.pending_after,
        q.held_after, q.debt_after, q.reverses_id, q.reversed_points, q.held_id, q.source_system, q.source_reference,
        q.source_line, q.request_client, q.request_key, q.request_hash, q.rule_version, q.explanation,
        q.occurred_at, q.business_date, q.property_id, q.actor_id, q.reason) AS hash
    FROM (
        SELECT nextval('loyalty_posting_id_seq') AS id, a.row_at, a.last_seq + 1 AS seq, a.head_hash AS previous_hash,
            a.available AS available_before, a.available + z.d_available AS available_after,
            a.pending + z.d_pending AS pending_after, a.held + z.d_held AS held_after, a.debt + z.d_debt AS debt_after,
            z.verb IN ('earn', 'adjust') AND z.delta > 0 AS brings_lot,
            z.i, z.kind, z.account_id, z.programme_id, z.delta, z.reverses_id, z.reversed_points, z.held_id, z.hold_state,
            z.hold_until, z.lot_class, z.pending_until, z.expires_on, z.unit_cost,
            z.lot_ids, z.lot_open, z.lot_pending, z.lot_states, z.lot_expires,
            coalesce(z.source_system, '') AS source_system, coalesce(z.source_reference, '') AS source_reference,
            coalesce(z.source_line, '') AS source_line, coalesce(z.request_client, '') AS request_client,
            coalesce(z.request_key, '') AS request_key, coalesce(z.request_hash, '') AS request_hash,
            coalesce(z.rule_version, '') AS rule_version, z.explanation, z.occurred_at, z.business_date,
            z.property_id, z.actor_id, coalesce(z.reason, '') AS reason, z.member_number, z.trace_id, z.address
        FROM unnest(v_movements, v_effects) z
        CROSS JOIN LATERAL (SELECT x.*, x.ctid AS row_at FROM loyalty_account x WHERE x.id = z.account_id OFFSET 0) a
        WHERE z.error IS NULL OFFSET 0
    ) q
), balance AS (
    UPDATE loyalty_account a
    SET available = p.available_after, pending = p.pending_after, held = p.held_after, debt = p.debt_after,
        last_seq = p.seq, head_hash = p.hash
    FROM p WHERE a.ctid = p.row_at
), posting AS (
    INSERT INTO loyalty_posting (
        id, account_id, seq, kind, points, available_after, pending_after, held_after, debt_after, reverses_id,
        reversed_points, hold_id, source_system, source_reference, source_line, request_client, request_key,
        request_hash, rule_version, explanation, occurred_at, business_date, property_id, actor_id, reason,
        previous_hash, hash)
    SELECT p.id, p.account_id, p.seq, p.kind, p.delta, p.available_after, p.pending_after, p.held_after, p.debt_after,
        p.reverses_id, p.reversed_points, p.held_id, p.source_system, p.source_reference, p.source_line,
        p.request_client, p.request_key, p.request_hash, p.rule_version, p.explanation, p.occurred_at,
        p.business_date, p.property_id, p.actor_id, p.reason, p.previous_hash, p.hash
    FROM p
), brought AS (
    INSERT INTO loyalty_lot (id, account_id, posting_id, lot_class, original, remaining, state, earned_date,
        release_on, expires_on, funding_property_id, unit_cost)
    SELECT p.lot_ids[1], p.account_id, p.id, p.lot_class, p.delta, p.lot_open[1] + p.lot_pending[1],
        p.lot_states[1], p.business_date, p.pending_until, p.expires_on, p.property_id, p.unit_cost
    FROM p WHERE p.brings_lot
), used AS (
    UPDATE loyalty_lot l
    SET remaining = l.remaining + x.open + x.pending, state = x.state, expires_on = coalesce(x.expires, l.expires_on)
    FROM p CROSS JOIN LATERAL (
        SELECT u.*, y.ctid AS row_at
        FROM unnest(p.lot_ids, p.lot_open, p.lot_pending, p.lot_states, p.lot_expires)
            AS u (id, open, pending, state, expires)
        CROSS JOIN LATERAL (SELECT o.ctid FROM loyalty_lot o WHERE o.id = u.id OFFSET 0) y OFFSET 0) x
    WHERE NOT p.brings_lot AND l.ctid = x.row_at
), moved AS (
    INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
    SELECT p.id, x.id, p.account_id, x.pending, x.open
    FROM p CROSS JOIN LATERAL unnest(p.lot_ids, p.lot_open, p.lot_pending) AS x (id, open, pending)
    WHERE x.open <> 0 OR x.pending <> 0
), held AS (
    INSERT INTO loyalty_hold (id, account_id, points, state, placed_posting_id, hold_until)
    SELECT p.held_id, p.account_id, -p.delta, p.hold_state, p.id, p.hold_until
    FROM p WHERE p.hold_state = 'active'
), closed AS (
    UPDATE loyalty_hold h SET state = p.hold_state, closed_posting_id = p.id
    FROM p CROSS JOIN LATERAL (SELECT x.ctid AS row_at FROM loyalty_hold x WHERE x.id = p.held_id OFFSET 0) y
    WHERE p.hold_state <> 'active' AND h.ctid = y.row_at
), requested AS (
    INSERT INTO loyalty_requestkey (programme_id, client, key, posting_id)
    SELECT p.programme_id, p.request_client, p.request_key, p.id FROM p WHERE p.request_key <> ''
), sourced AS (
    INSERT INTO loyalty_sourcekey (programme_id, system, reference, line, kind, account_id, posting_id)
    SELECT p.programme_id, p.source_system, p.source_reference, p.source_line, p.kind, p.account_id, p.id
    FROM p WHERE p.source_reference <> ''
), audited AS (
    INSERT INTO hotels_auditentry (at, actor_id, action, object_type, object_id, object_label, property_id,
        before, after, reason, request_id, address)
    SELECT p.occurred_at, p.actor_id, 'points.' || p.kind, 'loyalty.account', p.account_id::text, p.member_number,
        p.property_id, jsonb_build_object('available', p.available_before),
        jsonb_build_object('available', p.available_after, 'points', p.delta, 'posting', p.id),
        p.reason, coalesce(p.trace_id, ''), p.address
    FROM p WHERE p.actor_id IS NOT NULL
)
SELECT p.i, NULL::text, NULL::jsonb, p.id, p.account_id, p.seq, p.kind, p.delta, p.available_after, p.pending_after,
    p.held_after, p.debt_after, p.held_id
FROM p;
