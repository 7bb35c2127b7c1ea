-- Expiry by inactivity, and the batches of the nightly jobs.
--
--   loyalty_inactivity(account, …)        when the points of one account lapse by inactivity: the one predicate
--   loyalty_inactive_accounts(programme)  all accounts of a programme whose day has come, set-based
--   loyalty_post_due(verb, accounts, …)   release or expiry of many accounts through loyalty_post
--   loyalty_post_movements(jsonb, …)      books a lapse that the job is late with before anything else, so that
--                                         nobody spends what lapsed and no activity wakes it up again
--
-- Booking by inactivity is the verb "expire" with an explanation that names the last activity. It takes the lots of
-- the classes earned and bonus whatever their own date; purchased points and compensation go by their own date only.

-- Last day (`lapses_on`) on which inactivity leaves the points usable, and the same after notice (`usable_until`,
-- NULL while a notice that is needed was not given). No row where the programme knows no inactivity or the tier
-- exempts. Dates are the programme's; a day with an activity is followed by the whole number of months.
CREATE FUNCTION loyalty_inactivity(p_account_id bigint)
RETURNS TABLE (last_activity date, lapses_on date, usable_until date) LANGUAGE sql STABLE AS $$
    SELECT d.last_activity, d.lapses_on,
        CASE WHEN d.expiry_needs_notice THEN (
            SELECT greatest(d.lapses_on, n.given_date + d.expiry_notice_days) FROM loyalty_expirynotice n
            WHERE n.membership_id = d.membership_id AND n.cause = 'inactivity' AND n.expires_on = d.lapses_on
                AND n.state = 'given')
        ELSE d.lapses_on END
    FROM (
        SELECT c.*, (c.last_activity + make_interval(months => c.inactivity_months))::date AS lapses_on
        FROM (
            SELECT g.inactivity_months, g.expiry_needs_notice, g.expiry_notice_days, s.id AS membership_id,
                greatest(
                    (s.enrolled_at AT TIME ZONE g.time_zone)::date,
                    g.inactivity_from_date,
                    (SELECT max(p.business_date) FROM loyalty_posting p
                     WHERE p.account_id = a.id
                        AND ((g.inactivity_counts_earning AND p.kind IN ('earn', 'bonus'))
                            OR (g.inactivity_counts_redeeming AND p.kind = 'redeem'))),
                    (SELECT max(y.departure_date) FROM members_stay y
                     WHERE g.inactivity_counts_stays AND y.guest_id = s.guest_id AND y.status <> 'voided')
                ) AS last_activity
            FROM loyalty_account a
            JOIN loyalty_programme g ON g.id = a.programme_id
            JOIN loyalty_membership s ON s.id = a.membership_id
            JOIN loyalty_tier t ON t.id = s.tier_id
            LEFT JOIN loyalty_tier e ON e.id = g.inactivity_exempt_tier_id
            WHERE a.id = p_account_id AND g.inactivity_months IS NOT NULL AND (e.id IS NULL OR t.rank < e.rank)
        ) c
    ) d
$$;

-- Accounts with points that lapse by inactivity before a date, those that wait for their notice among them. The
-- NOT EXISTS only sort out whom the predicate cannot hold for, so that the planner may read the tables once.
CREATE FUNCTION loyalty_inactive_accounts(p_programme_id bigint, p_before date)
RETURNS TABLE (account_id bigint, membership_id bigint, points bigint, last_activity date, lapses_on date, usable_until date)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.membership_id, l.points, f.last_activity, f.lapses_on, f.usable_until
    FROM loyalty_programme g
    JOIN loyalty_account a ON a.programme_id = g.id
    JOIN loyalty_membership s ON s.id = a.membership_id
    JOIN loyalty_tier t ON t.id = s.tier_id
    LEFT JOIN loyalty_tier e ON e.id = g.inactivity_exempt_tier_id
    CROSS JOIN LATERAL (
        SELECT sum(x.remaining)::bigint AS points FROM loyalty_lot x
        WHERE x.account_id = a.id AND x.state = 'open' AND x.lot_class IN ('earned', 'bonus')) l
    CROSS JOIN LATERAL loyalty_inactivity(a.id) f
    WHERE g.id = p_programme_id AND g.inactivity_months IS NOT NULL AND a.available > 0
        AND (e.id IS NULL OR t.rank < e.rank)
        AND ((s.enrolled_at AT TIME ZONE g.time_zone)::date + make_interval(months => g.inactivity_months))::date < p_before
        AND NOT EXISTS (
            SELECT FROM loyalty_posting p
            WHERE p.account_id = a.id
                AND ((g.inactivity_counts_earning AND p.kind IN ('earn', 'bonus'))
                    OR (g.inactivity_counts_redeeming AND p.kind = 'redeem'))
                AND (p.business_date + make_interval(months => g.inactivity_months))::date >= p_before)
        AND l.points > 0 AND f.lapses_on < p_before
$$;

CREATE FUNCTION loyalty_due_movement(
    p_i bigint, p_verb text, p_account loyalty_account, p_now timestamptz, p_business_date date, p_explanation jsonb
) RETURNS loyalty_movement LANGUAGE plpgsql AS $$
DECLARE
    m loyalty_movement;
BEGIN
    m.i := p_i;
    m.verb := p_verb;
    m.kind := p_verb;
    m.account_id := p_account.id;
    m.membership_id := p_account.membership_id;
    m.unit := p_account.unit;
    m.occurred_at := p_now;
    m.business_date := p_business_date;
    m.explanation := p_explanation;
    m.round := 1;
    m.twin := false;
    m.programme_id := p_account.programme_id;
    m.today := p_business_date;
    m.is_active := true;
    RETURN m;
END $$;

-- Release what is due, or book out what lapsed, of many accounts: what loyalty_plan_due plans and 0005 applies, as one
-- statement without movements, because nothing can be refused here and no key is looked up. The guards are the same.
-- Accounts that somebody posts to are left out and counted as busy; those with nothing due as skipped.
CREATE FUNCTION loyalty_post_due(p_verb text, p_account_ids bigint[], p_now timestamptz, p_business_date date)
RETURNS TABLE (done bigint, points bigint, skipped bigint, busy bigint, inactive bigint) LANGUAGE plpgsql
-- Planned for each batch, which is large: the plan knows the verb and how many accounts there are.
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET work_mem = '64MB'
AS $$
DECLARE
    v_ids bigint[];
    -- Beside each account the day of its last activity, where inactivity takes its points.
    v_since date[];
    v_expires boolean := p_verb = 'expire';
    -- A batch is a stretch of ids: told so, no plan reads beyond it.
    v_first bigint;
    v_last bigint;
BEGIN
    -- A statement of its own: the next one sees what was committed before the lock.
    SELECT array_agg(k.id) INTO v_ids
    FROM (SELECT x.id FROM loyalty_account x WHERE x.id = ANY (p_account_ids) ORDER BY x.id FOR NO KEY UPDATE SKIP LOCKED) k;
    busy := cardinality(p_account_ids) - coalesce(cardinality(v_ids), 0);
    v_first := v_ids[1];
    v_last := v_ids[cardinality(v_ids)];
    IF v_expires AND EXISTS (SELECT FROM loyalty_programme g WHERE g.inactivity_months IS NOT NULL) THEN
        SELECT array_agg((SELECT f.last_activity FROM loyalty_inactivity(u.id) f WHERE f.usable_until < p_business_date)
            ORDER BY u.at)
        INTO v_since FROM unnest(v_ids) WITH ORDINALITY u (id, at);
    END IF;
    WITH due AS MATERIALIZED (
        SELECT l.id, l.ctid AS row_at, l.account_id, l.remaining, u.since,
            sum(l.remaining) OVER (PARTITION BY l.account_id ORDER BY l.expires_on, l.id) AS running
        FROM unnest(v_ids, v_since) u (id, since)
        JOIN loyalty_lot l ON l.account_id = u.id AND l.account_id BETWEEN v_first AND v_last
        WHERE (v_expires AND l.state = 'open'
                AND (l.expires_on < p_business_date OR (u.since IS NOT NULL AND l.lot_class IN ('earned', 'bonus'))))
            OR (NOT v_expires AND l.state = 'pending' AND l.release_on <= p_business_date)
    ), p AS MATERIALIZED (
        SELECT q.*, loyalty_posting_hash(
            q.previous_hash, q.id, q.account_id, q.seq, p_verb, q.delta, q.available_after, q.pending_after, q.held,
            q.debt_after, NULL, 0, NULL, '', '', '', '', '', '', '', q.explanation, p_now, p_business_date, NULL, NULL, '')
            AS hash
        FROM (
            SELECT nextval('loyalty_posting_id_seq') AS id, a.id AS account_id, a.ctid AS row_at, a.last_seq + 1 AS seq,
                a.head_hash AS previous_hash, s.moved, a.debt AS debt_before, s.since,
                CASE WHEN v_expires THEN -s.moved ELSE s.moved END AS delta,
                CASE WHEN v_expires THEN a.available - s.moved ELSE a.available + s.moved - least(a.debt, s.moved) END
                    AS available_after,
                CASE WHEN v_expires THEN a.pending ELSE a.pending - s.moved END AS pending_after, a.held,
                CASE WHEN v_expires THEN a.debt ELSE a.debt - least(a.debt, s.moved) END AS debt_after,
                CASE WHEN s.since IS NOT NULL THEN jsonb_build_object('inactive_since', s.since) END AS explanation
            FROM (
                SELECT d.account_id, sum(d.remaining)::bigint AS moved, min(d.since) AS since FROM due d GROUP BY d.account_id
            ) s
            JOIN loyalty_account a ON a.id = s.account_id AND a.id BETWEEN v_first AND v_last
            ORDER BY a.id OFFSET 0
        ) q
    ), lot AS MATERIALIZED (
        -- A debt is repaid by the points that lapse soonest.
        SELECT d.id, d.row_at, d.account_id, d.remaining, p.id AS posting_id, CASE WHEN v_expires THEN 0
            ELSE greatest(least(d.remaining, p.debt_before - (d.running - d.remaining)), 0) END::bigint AS repaid
        FROM due d JOIN p ON p.account_id = d.account_id
    ), balance AS (
        UPDATE loyalty_account a
        SET available = p.available_after, pending = p.pending_after, debt = p.debt_after, last_seq = p.seq,
            head_hash = p.hash
        FROM p WHERE a.ctid = p.row_at
    ), posting AS (
        INSERT INTO loyalty_posting (
            id, account_id, seq, kind, points, available_after, pending_after, held_after, debt_after, reversed_points,
            source_system, source_reference, source_line, request_client, request_key, request_hash, rule_version,
            explanation, occurred_at, business_date, reason, previous_hash, hash)
        SELECT p.id, p.account_id, p.seq, p_verb, p.delta, p.available_after, p.pending_after, p.held, p.debt_after, 0,
            '', '', '', '', '', '', '', p.explanation, p_now, p_business_date, '', p.previous_hash, p.hash
        FROM p
    ), used AS (
        UPDATE loyalty_lot l
        SET remaining = CASE WHEN v_expires THEN 0 ELSE l.remaining - x.repaid END,
            state = CASE WHEN v_expires THEN 'expired' WHEN x.repaid = x.remaining THEN 'spent' ELSE 'open' END
        FROM lot x WHERE l.ctid = x.row_at
    ), moved AS (
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT x.posting_id, x.id, x.account_id, CASE WHEN v_expires THEN 0 ELSE -x.remaining END,
            CASE WHEN v_expires THEN -x.remaining ELSE x.remaining - x.repaid END
        FROM lot x
    )
    SELECT count(*), coalesce(sum(p.moved), 0), count(*) FILTER (WHERE p.since IS NOT NULL) INTO done, points, inactive
    FROM p;
    skipped := coalesce(cardinality(v_ids), 0) - done;
    RETURN NEXT;
END $$;

-- As in 0005, but an expiry by inactivity takes earned and bonus lots whatever their own date.
@plan_due

CREATE FUNCTION loyalty_book_inactivity(p_movements jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_accounts bigint[];
    v_from timestamptz;
    v_lapsed loyalty_movement[];
BEGIN
    SELECT array_agg(DISTINCT q.account_id), min(q.occurred_at) INTO v_accounts, v_from
    FROM (
        SELECT m.occurred_at, coalesce(
            m.account_id,
            (SELECT x.id FROM loyalty_account x WHERE x.membership_id = m.membership_id AND x.unit = coalesce(m.unit, 'points')),
            (SELECT x.account_id FROM loyalty_posting x WHERE x.id = m.posting_id),
            (SELECT x.account_id FROM loyalty_hold x WHERE x.id = m.hold_id)) AS account_id
        FROM jsonb_populate_recordset(NULL::loyalty_movement, p_movements) m
        WHERE m.verb NOT IN ('release', 'expire')
    ) q;
    IF NOT EXISTS (
        SELECT FROM unnest(v_accounts) u (id)
        CROSS JOIN LATERAL (SELECT x.available, x.programme_id FROM loyalty_account x WHERE x.id = u.id OFFSET 0) a
        CROSS JOIN LATERAL (SELECT x.time_zone FROM loyalty_programme x WHERE x.id = a.programme_id OFFSET 0) g
        CROSS JOIN LATERAL loyalty_inactivity(u.id) f
        WHERE a.available > 0 AND f.usable_until < (v_from AT TIME ZONE g.time_zone)::date)
    THEN
        RETURN;
    END IF;
    -- Every account of the call, in the order in which every posting locks; then look again.
    PERFORM x.id FROM loyalty_account x WHERE x.id = ANY (v_accounts) ORDER BY x.id FOR NO KEY UPDATE;
    SELECT array_agg(w.m ORDER BY (w.m).i) INTO v_lapsed
    FROM (
        SELECT loyalty_due_movement(row_number() OVER (ORDER BY (k.a).id), 'expire', k.a, v_from, k.today,
            jsonb_build_object('inactive_since', k.last_activity)) AS m
        FROM (
            SELECT y.a, f.last_activity, (v_from AT TIME ZONE g.time_zone)::date AS today
            FROM unnest(v_accounts) u (id)
            CROSS JOIN LATERAL (SELECT x AS a, x.programme_id, x.available FROM loyalty_account x WHERE x.id = u.id OFFSET 0) y
            CROSS JOIN LATERAL (SELECT x.time_zone FROM loyalty_programme x WHERE x.id = y.programme_id OFFSET 0) g
            CROSS JOIN LATERAL loyalty_inactivity(u.id) f
            WHERE y.available > 0 AND f.usable_until < (v_from AT TIME ZONE g.time_zone)::date
        ) k
    ) w;
    IF v_lapsed IS NOT NULL THEN
        -- Nothing due is no failure here: all that is left may be purchased.
        PERFORM loyalty_post(v_lapsed, false);
    END IF;
END $$;

ALTER FUNCTION loyalty_post_movements(jsonb, boolean) RENAME TO loyalty_post_settled;

CREATE FUNCTION loyalty_post_movements(p_movements jsonb, p_strict boolean) RETURNS SETOF loyalty_result
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM loyalty_programme g WHERE g.inactivity_months IS NOT NULL) THEN
        PERFORM loyalty_book_inactivity(p_movements);
    END IF;
    RETURN QUERY SELECT * FROM loyalty_post_settled(p_movements, p_strict);
END $$;

-- A notice that was given is proof.
CREATE TRIGGER loyalty_expirynotice_given BEFORE UPDATE OR DELETE ON loyalty_expirynotice
    FOR EACH ROW WHEN (OLD.state = 'given') EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_expirynotice_no_truncate BEFORE TRUNCATE ON loyalty_expirynotice
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
