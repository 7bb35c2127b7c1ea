-- The short way for what happens most: one earning or one spending, nothing special about it.
--
-- It does in scalars what the general way (now loyalty_post_each) does in sets, under the same lock and the same
-- guards. Whatever is not plain – a key used before, a debt, too few points, an inactive membership, several
-- movements, any other verb – it leaves untouched to the general way, which alone knows the refusals.

ALTER FUNCTION loyalty_post_movements(jsonb, boolean) RENAME TO loyalty_post_each;

CREATE FUNCTION loyalty_post_movements(p_movements jsonb, p_strict boolean) RETURNS SETOF loyalty_result
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    m loyalty_movement;
    a record;
    r loyalty_result;
    v_lot record;
    v_now timestamptz;
    v_today date;
    v_booked date;
    v_expires date;
    v_pending_until date;
    v_earns boolean;
    v_open bigint;
    v_pending bigint := 0;
    v_left bigint;
    v_part bigint;
    v_lot_id bigint;
    v_lots bigint[] := '{}';
    v_takes bigint[] := '{}';
    v_states text[] := '{}';
    v_hash bytea;
BEGIN
    IF jsonb_array_length(p_movements) <> 1 OR p_movements -> 0 ->> 'verb' NOT IN ('earn', 'redeem') THEN
        RETURN QUERY SELECT * FROM loyalty_post_each(p_movements, p_strict);
        RETURN;
    END IF;
    m := jsonb_populate_record(NULL::loyalty_movement, p_movements -> 0);
    IF m.account_id IS NULL THEN
        m.account_id := (SELECT x.id FROM loyalty_account x
                         WHERE x.membership_id = m.membership_id AND x.unit = coalesce(m.unit, 'points'));
    END IF;
    SELECT x.id, x.programme_id, x.available, x.pending, x.held, x.debt, x.last_seq, x.head_hash, s.status, s.number,
        g.time_zone, g.expiry_months, g.expiry_rounding, g.pending_days
    INTO a
    FROM loyalty_account x
    JOIN loyalty_programme g ON g.id = x.programme_id
    JOIN loyalty_membership s ON s.id = x.membership_id
    WHERE x.id = m.account_id
    FOR NO KEY UPDATE OF x;
    v_earns := m.verb = 'earn';
    IF a.id IS NULL OR a.status <> 'active' OR (v_earns AND a.debt > 0) OR m.points IS NULL OR m.points <= 0
        OR EXISTS (SELECT FROM loyalty_requestkey k
                   WHERE k.programme_id = a.programme_id AND k.client = m.request_client AND k.key = m.request_key)
        OR EXISTS (SELECT FROM loyalty_sourcekey k
                   WHERE k.programme_id = a.programme_id AND k.system = m.source_system
                       AND k.reference = m.source_reference AND k.line = m.source_line
                       AND k.kind = CASE WHEN v_earns THEN coalesce(m.kind, 'earn') ELSE m.verb END)
    THEN
        RETURN QUERY SELECT * FROM loyalty_post_each(p_movements, p_strict);
        RETURN;
    END IF;

    v_today := (m.occurred_at AT TIME ZONE a.time_zone)::date;
    v_booked := coalesce(m.business_date, v_today);
    r.i := m.i;
    r.account_id := a.id;
    r.seq := a.last_seq + 1;
    IF v_earns THEN
        r.kind := coalesce(m.kind, 'earn');
        r.points := m.points;
        v_expires := m.expires_on;
        IF m.expires_by_programme THEN
            v_expires := v_booked + make_interval(months => a.expiry_months);
            IF a.expiry_rounding = 'month_end' THEN
                v_expires := date_trunc('month', v_expires) + interval '1 month - 1 day';
            ELSIF a.expiry_rounding = 'year_end' THEN
                v_expires := date_trunc('year', v_expires) + interval '1 year - 1 day';
            END IF;
        END IF;
        v_pending_until := m.pending_until;
        IF m.pending_by_programme THEN
            v_pending_until := CASE WHEN a.pending_days > 0 THEN v_booked + a.pending_days END;
        END IF;
        v_open := CASE WHEN v_pending_until IS NULL THEN m.points ELSE 0 END;
        v_pending := m.points - v_open;
    ELSE
        r.kind := m.verb;
        r.points := -m.points;
        v_open := -m.points;
        v_left := m.points;
        -- The soonest to lapse first. The same lots answer whether there is enough and pay.
        FOR v_lot IN
            SELECT l.id, l.remaining FROM loyalty_lot l
            WHERE l.account_id = a.id AND l.state = 'open' AND (l.expires_on IS NULL OR l.expires_on >= v_today)
            ORDER BY l.expires_on, l.id
        LOOP
            v_part := least(v_left, v_lot.remaining);
            v_left := v_left - v_part;
            v_lots := v_lots || v_lot.id;
            v_takes := v_takes || -v_part;
            v_states := v_states || CASE WHEN v_part = v_lot.remaining THEN 'spent' ELSE 'open' END;
            EXIT WHEN v_left = 0;
        END LOOP;
        IF v_left > 0 THEN
            RETURN QUERY SELECT * FROM loyalty_post_each(p_movements, p_strict);
            RETURN;
        END IF;
    END IF;

    r.available := a.available + v_open;
    r.pending := a.pending + v_pending;
    r.held := a.held;
    r.debt := a.debt;
    r.posting_id := nextval('loyalty_posting_id_seq');
    m.source_system := coalesce(m.source_system, '');
    m.source_reference := coalesce(m.source_reference, '');
    m.source_line := coalesce(m.source_line, '');
    m.request_client := coalesce(m.request_client, '');
    m.request_key := coalesce(m.request_key, '');
    m.request_hash := coalesce(m.request_hash, '');
    m.rule_version := coalesce(m.rule_version, '');
    m.reason := coalesce(m.reason, '');
    v_hash := loyalty_posting_hash(
        a.head_hash, r.posting_id, r.account_id, r.seq, r.kind, r.points, r.available, r.pending, r.held, r.debt,
        NULL, 0, NULL, m.source_system, m.source_reference, m.source_line, m.request_client, m.request_key,
        m.request_hash, m.rule_version, m.explanation, m.occurred_at, v_booked, m.property_id, m.actor_id, m.reason);

    -- ONE statement, at the end of which the guards of 0004 look at the result.
    IF v_earns THEN
        v_lot_id := nextval('loyalty_lot_id_seq');
        WITH balance AS (
            @balance
        ), posting AS (
            @posting
        ), brought AS (
            INSERT INTO loyalty_lot (id, account_id, posting_id, lot_class, original, remaining, state, earned_date,
                release_on, expires_on, funding_property_id, unit_cost)
            VALUES (v_lot_id, r.account_id, r.posting_id, m.lot_class, m.points, m.points,
                CASE WHEN v_pending_until IS NULL THEN 'open' ELSE 'pending' END, v_booked, v_pending_until, v_expires,
                m.property_id, m.unit_cost)
        ), moved AS (
            INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
            VALUES (r.posting_id, v_lot_id, r.account_id, v_pending, v_open)
        ), @trail
        SELECT 1 INTO v_left;
    ELSE
        WITH balance AS (
            @balance
        ), posting AS (
            @posting
        ), used AS (
            UPDATE loyalty_lot l SET remaining = l.remaining + u.take, state = u.state
            FROM unnest(v_lots, v_takes, v_states) u (id, take, state)
            WHERE l.id = u.id AND l.account_id = r.account_id
        ), moved AS (
            INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
            SELECT r.posting_id, u.id, r.account_id, 0, u.take FROM unnest(v_lots, v_takes) u (id, take)
        ), @trail
        SELECT 1 INTO v_left;
    END IF;
    RETURN NEXT r;
END $$;
