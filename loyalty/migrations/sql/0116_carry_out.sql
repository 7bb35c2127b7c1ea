-- Takes everything off an account whose owner went into another profile: open and pending lots, by one posting of
-- kind 'adjust', as one statement that the guards of 0008 look at. What is held stays held, what is owed stays owed.
-- The caller has locked the account, has booked out what lapsed, and posts the lots to the other account.
CREATE FUNCTION loyalty_carry_out(
    p_account_id bigint, p_now timestamptz, p_today date, p_explanation jsonb, p_actor_id bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT l.id, l.ctid AS row_at, l.remaining, l.state
        FROM loyalty_lot l WHERE l.account_id = p_account_id AND l.state IN ('open', 'pending')
    ), p AS MATERIALIZED (
        SELECT q.*, loyalty_posting_hash(
            q.previous_hash, q.id, p_account_id, q.seq, 'adjust', q.delta, q.available_after, q.pending_after, q.held,
            q.debt, NULL, 0, NULL, '', '', '', '', '', '', '', p_explanation, p_now, p_today, NULL, p_actor_id, '') AS hash
        FROM (
            SELECT nextval('loyalty_posting_id_seq') AS id, a.ctid AS row_at, a.last_seq + 1 AS seq,
                a.head_hash AS previous_hash, -(s.open + s.pending) AS delta, a.available - s.open AS available_after,
                a.pending - s.pending AS pending_after, a.held, a.debt
            FROM loyalty_account a
            CROSS JOIN (
                SELECT coalesce(sum(d.remaining) FILTER (WHERE d.state = 'open'), 0)::bigint AS open,
                    coalesce(sum(d.remaining) FILTER (WHERE d.state = 'pending'), 0)::bigint AS pending
                FROM due d) s
            WHERE a.id = p_account_id AND s.open + s.pending > 0 OFFSET 0
        ) q
    ), balance AS (
        UPDATE loyalty_account a
        SET available = p.available_after, pending = p.pending_after, last_seq = p.seq, head_hash = p.hash
        FROM p WHERE a.ctid = p.row_at
    ), posting AS (
        INSERT INTO loyalty_posting (
            id, account_id, seq, kind, points, available_after, pending_after, held_after, debt_after, reversed_points,
            source_system, source_reference, source_line, request_client, request_key, request_hash, rule_version,
            explanation, occurred_at, business_date, actor_id, reason, previous_hash, hash)
        SELECT p.id, p_account_id, p.seq, 'adjust', p.delta, p.available_after, p.pending_after, p.held, p.debt, 0,
            '', '', '', '', '', '', '', p_explanation, p_now, p_today, p_actor_id, '', p.previous_hash, p.hash
        FROM p
    ), used AS (
        UPDATE loyalty_lot l SET remaining = 0, state = 'spent' FROM due d, p WHERE l.ctid = d.row_at
    ), moved AS (
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT p.id, d.id, p_account_id, CASE d.state WHEN 'pending' THEN -d.remaining ELSE 0 END,
            CASE d.state WHEN 'open' THEN -d.remaining ELSE 0 END
        FROM due d, p
    )
    SELECT p.id INTO v_id FROM p;
    RETURN v_id;
END $$;
