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

-- Release what is due, or book out what lapsed, of many accounts. Accounts that somebody posts to are left out and
-- counted as busy; those with nothing due any more are counted as skipped.
CREATE FUNCTION loyalty_post_due(p_verb text, p_account_ids bigint[], p_now timestamptz, p_business_date date)
RETURNS TABLE (done bigint, points bigint, skipped bigint, busy bigint, inactive bigint) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_movements loyalty_movement[];
    v_knows_inactivity boolean := p_verb = 'expire'
        AND EXISTS (SELECT FROM loyalty_programme g WHERE g.inactivity_months IS NOT NULL);
BEGIN
    SELECT array_agg(loyalty_due_movement(w.i, p_verb, w.a, p_now, p_business_date, w.explanation) ORDER BY w.i),
        count(w.explanation)
    INTO v_movements, inactive
    FROM (
        SELECT row_number() OVER (ORDER BY (k.a).id) AS i, k.a, CASE WHEN v_knows_inactivity THEN (
                SELECT jsonb_build_object('inactive_since', f.last_activity) FROM loyalty_inactivity((k.a).id) f
                WHERE f.usable_until < p_business_date) END AS explanation
        FROM (
            SELECT x AS a FROM loyalty_account x
            WHERE x.id = ANY (p_account_ids) ORDER BY x.id FOR NO KEY UPDATE SKIP LOCKED
        ) k
    ) w;
    busy := cardinality(p_account_ids) - coalesce(cardinality(v_movements), 0);
    IF v_movements IS NULL THEN
        done := 0;
        points := 0;
        skipped := 0;
    ELSE
        SELECT count(*) FILTER (WHERE r.error IS NULL), coalesce(sum(abs(r.points)) FILTER (WHERE r.error IS NULL), 0),
            count(*) FILTER (WHERE r.error = 'nothing_due')
        INTO done, points, skipped
        FROM loyalty_post(v_movements, false) r;
    END IF;
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
