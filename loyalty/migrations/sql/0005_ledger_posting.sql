-- Posting: one implementation for one movement or thousands, for the desk, the API and the batches.
--
--   loyalty_post_movements(jsonb, strict)   parses, locks the accounts, posts
--     loyalty_post(movements, strict)       rounds of planning and applying
--       loyalty_plan(movements)             keys, earning, spending
--       loyalty_plan_due(movements, …)      release and expiry
--       loyalty_plan_reversal/_closing      reversal; capture and void of a hold
--
-- A round holds at most one movement of each account, so planning reads settled balances, and one
-- statement applies the whole round. Plans live as long as the connection and may be made on an empty
-- table; LATERAL … OFFSET 0 and ctid leave the planner no other way than row by row through the index
-- of the key, which is right for one movement and for thousands. Columns of the functions' types are in the order of the types.

CREATE TYPE loyalty_movement AS (
    -- as asked
    i integer, verb text, kind text, account_id bigint, membership_id bigint, unit text, points bigint,
    lot_class text, expires_on date, expires_by_programme boolean,
    pending_until date, pending_by_programme boolean, unit_cost numeric,
    posting_id bigint, refunded numeric, base numeric, hold_id bigint, hold_until timestamptz,
    source_system text, source_reference text, source_line text,
    request_client text, request_key text, request_hash text,
    explanation jsonb, rule_version text, occurred_at timestamptz, business_date date,
    property_id bigint, actor_id bigint, reason text, trace_id text, address inet,
    -- found on locking
    round integer, twin boolean, programme_id bigint, today date, is_active boolean, member_number text,
    shortfall_policy text, lapsed_policy text, grace_days integer
);

CREATE TYPE loyalty_effect AS (
    -- a refusal's code with its details, or 'replayed' with the posting found
    error text, details jsonb, found_id bigint,
    delta bigint, reversed_points bigint, reverses_id bigint,
    d_available bigint, d_pending bigint, d_held bigint, d_debt bigint,
    -- what happens to which lots; an earning's new lot is the only one in its list
    lot_ids bigint[], lot_open bigint[], lot_pending bigint[], lot_states text[], lot_expires date[],
    held_id bigint, hold_state text
);

CREATE TYPE loyalty_result AS (
    i integer, error text, details jsonb, posting_id bigint, account_id bigint, seq bigint, kind text, points bigint,
    available bigint, pending bigint, held bigint, debt bigint, hold_id bigint
);

-- Keys of every movement, and the plan of those that earn, spend or set aside. The others come back
-- without an error and without a delta, to be planned by the functions below.
CREATE FUNCTION loyalty_plan(p_movements loyalty_movement[]) RETURNS loyalty_effect[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT array_agg(ROW(
        CASE
            WHEN rp.id IS NOT NULL
                THEN CASE WHEN rp.request_hash = m.request_hash THEN 'replayed' ELSE 'idempotency_conflict' END
            WHEN sk.posting_id IS NOT NULL OR m.twin THEN 'already_posted'
            WHEN NOT m.is_active AND m.verb IN ('earn', 'redeem', 'hold') THEN 'membership_inactive'
            WHEN n.need > coalesce(s.taken, 0) THEN 'insufficient_points'
        END,
        CASE
            WHEN rp.id IS NOT NULL THEN jsonb_build_object('posting_id', rp.id)
            WHEN sk.posting_id IS NOT NULL
                THEN jsonb_build_object('posting_id', sk.posting_id, 'account_id', sk.account_id)
            WHEN n.need > coalesce(s.taken, 0)
                THEN jsonb_build_object('needed', n.need, 'available', coalesce(s.taken, 0))
        END,
        rp.id,
        CASE WHEN n.need > 0 THEN -n.need WHEN n.gain > 0 THEN n.gain END, 0, NULL,
        CASE WHEN n.need > 0 THEN -n.need WHEN m.pending_until IS NULL THEN n.gain - least(a.debt, n.gain) ELSE 0 END,
        CASE WHEN m.pending_until IS NULL THEN 0 ELSE n.gain END,
        CASE WHEN m.verb = 'hold' THEN n.need ELSE 0 END,
        CASE WHEN m.pending_until IS NULL THEN -least(a.debt, n.gain) ELSE 0 END,
        CASE WHEN n.gain > 0 THEN ARRAY[nextval('loyalty_lot_id_seq')] ELSE s.lot_ids END,
        CASE WHEN n.gain > 0
            THEN ARRAY[CASE WHEN m.pending_until IS NULL THEN n.gain - least(a.debt, n.gain) ELSE 0 END]
            ELSE s.lot_open END,
        CASE WHEN n.gain > 0 THEN ARRAY[CASE WHEN m.pending_until IS NULL THEN 0 ELSE n.gain END]
            ELSE s.lot_pending END,
        CASE WHEN n.gain > 0
            THEN ARRAY[CASE WHEN m.pending_until IS NOT NULL THEN 'pending' WHEN n.gain > a.debt THEN 'open' ELSE 'spent' END]
            ELSE s.lot_states END,
        NULL,
        CASE WHEN m.verb = 'hold' THEN nextval('loyalty_hold_id_seq') END,
        CASE WHEN m.verb = 'hold' THEN 'active' END
    )::loyalty_effect ORDER BY m.i)
    FROM unnest(p_movements) m
    CROSS JOIN LATERAL (SELECT x.debt FROM loyalty_account x WHERE x.id = m.account_id OFFSET 0) a
    LEFT JOIN LATERAL (
        SELECT p.id, p.request_hash
        FROM loyalty_requestkey x
        CROSS JOIN LATERAL (SELECT y.id, y.request_hash FROM loyalty_posting y WHERE y.id = x.posting_id OFFSET 0) p
        WHERE x.programme_id = m.programme_id AND x.client = m.request_client AND x.key = m.request_key OFFSET 0) rp ON true
    LEFT JOIN LATERAL (
        SELECT x.posting_id, x.account_id FROM loyalty_sourcekey x
        WHERE x.programme_id = m.programme_id AND x.system = m.source_system AND x.reference = m.source_reference
            AND x.line = m.source_line AND x.kind = m.kind OFFSET 0) sk ON true
    CROSS JOIN LATERAL (SELECT
        CASE WHEN m.verb IN ('redeem', 'hold') THEN m.points
             WHEN m.verb = 'adjust' THEN greatest(-m.points, 0) ELSE 0 END AS need,
        CASE WHEN m.verb = 'earn' THEN m.points
             WHEN m.verb = 'adjust' THEN greatest(m.points, 0) ELSE 0 END AS gain OFFSET 0) n
    -- The soonest to lapse first. The same lots answer whether there is enough and pay.
    CROSS JOIN LATERAL (
        SELECT sum(t.take)::bigint AS taken, array_agg(t.id) AS lot_ids, array_agg(-t.take) AS lot_open,
            array_agg(0::bigint) AS lot_pending,
            array_agg(CASE WHEN t.take = t.remaining THEN 'spent' ELSE 'open' END) AS lot_states
        FROM (
            SELECT w.id, w.remaining, least(w.remaining, n.need - (w.running - w.remaining))::bigint AS take
            FROM (
                SELECT l.id, l.remaining, sum(l.remaining) OVER (ORDER BY l.expires_on, l.id) AS running
                FROM loyalty_lot l
                WHERE n.need > 0 AND l.account_id = m.account_id AND l.state = 'open'
                    AND (l.expires_on IS NULL OR l.expires_on >= m.today)
            ) w
            WHERE w.running - w.remaining < n.need
        ) t) s);
END $$;

-- Release of pending lots (of one earning, or all that are due) and expiry of lapsed ones.
CREATE FUNCTION loyalty_plan_due(p_movements loyalty_movement[], p_effects loyalty_effect[])
RETURNS loyalty_effect[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT array_agg(
        CASE WHEN m.verb NOT IN ('release', 'expire') OR m.error IS NOT NULL THEN ROW(
            m.error, m.details, m.found_id, m.delta, m.reversed_points, m.reverses_id, m.d_available, m.d_pending, m.d_held,
            m.d_debt, m.lot_ids, m.lot_open, m.lot_pending, m.lot_states, m.lot_expires, m.held_id, m.hold_state)::loyalty_effect
        WHEN s.moved IS NULL THEN ROW('nothing_due', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL)::loyalty_effect
        ELSE ROW(NULL, NULL, NULL,
            CASE m.verb WHEN 'release' THEN s.moved ELSE -s.moved END, 0, NULL,
            CASE m.verb WHEN 'release' THEN s.moved - s.repaid ELSE -s.moved END,
            CASE m.verb WHEN 'release' THEN -s.moved ELSE 0 END,
            0,
            CASE m.verb WHEN 'release' THEN -s.repaid ELSE 0 END,
            s.lot_ids, s.lot_open, s.lot_pending, s.lot_states, NULL, NULL, NULL)::loyalty_effect
        END ORDER BY m.i)
    FROM unnest(p_movements, p_effects) m
    CROSS JOIN LATERAL (SELECT x.debt FROM loyalty_account x WHERE x.id = m.account_id OFFSET 0) a
    CROSS JOIN LATERAL (
        SELECT sum(t.remaining)::bigint AS moved, sum(t.repaid)::bigint AS repaid, array_agg(t.id) AS lot_ids,
            array_agg(CASE m.verb WHEN 'release' THEN t.remaining - t.repaid ELSE -t.remaining END) AS lot_open,
            array_agg(CASE m.verb WHEN 'release' THEN -t.remaining ELSE 0 END) AS lot_pending,
            array_agg(CASE WHEN m.verb = 'expire' THEN 'expired' WHEN t.repaid = t.remaining THEN 'spent' ELSE 'open' END)
                AS lot_states
        FROM (
            -- A debt is repaid by the points that lapse soonest.
            SELECT w.id, w.remaining,
                greatest(least(w.remaining, a.debt - (w.running - w.remaining)), 0)::bigint AS repaid
            FROM (
                SELECT l.id, l.remaining, sum(l.remaining) OVER (ORDER BY l.expires_on, l.id) AS running
                FROM loyalty_lot l
                WHERE m.verb = 'expire' AND l.account_id = m.account_id AND l.state = 'open'
                    AND l.expires_on < m.business_date
                UNION ALL
                SELECT l.id, l.remaining, sum(l.remaining) OVER (ORDER BY l.expires_on, l.id) AS running
                FROM loyalty_lot l
                WHERE m.verb = 'release' AND l.account_id = m.account_id AND l.state = 'pending'
                    AND CASE WHEN m.posting_id IS NULL THEN l.release_on <= m.business_date
                             ELSE l.posting_id = m.posting_id END
            ) w
        ) t) s);
END $$;

-- Give points back to the lots that some postings took them from, latest expiry first, after a debt.
-- Lapsed lots open again for the days of grace or keep nothing, as the programme says.
CREATE FUNCTION loyalty_plan_return(p_movement loyalty_movement, p_posting_ids bigint[], p_points bigint)
RETURNS loyalty_effect LANGUAGE plpgsql AS $$
DECLARE
    v_effect loyalty_effect;
    v_left bigint := p_points;
    v_total bigint := 0;
    v_debt bigint;
    v_part bigint;
    v_lot record;
    v_ids bigint[] := '{}';
    v_parts bigint[] := '{}';
    v_expires date[] := '{}';
BEGIN
    SELECT a.debt INTO v_debt FROM loyalty_account a WHERE a.id = p_movement.account_id;
    FOR v_lot IN
        SELECT l.id, l.expires_on, -sum(v.open_delta) AS taken
        FROM loyalty_lotmove v JOIN loyalty_lot l ON l.id = v.lot_id AND l.account_id = v.account_id
        WHERE v.posting_id = ANY (p_posting_ids) AND v.account_id = p_movement.account_id
        GROUP BY l.id, l.expires_on HAVING sum(v.open_delta) < 0
        ORDER BY l.expires_on DESC NULLS FIRST, l.id DESC
    LOOP
        v_part := least(v_left, v_lot.taken);
        EXIT WHEN v_part = 0;
        v_left := v_left - v_part;
        IF v_lot.expires_on < p_movement.today THEN
            CONTINUE WHEN p_movement.lapsed_policy <> 'reopen';
            v_expires := v_expires || (p_movement.today + p_movement.grace_days);
        ELSE
            v_expires := v_expires || NULL::date;
        END IF;
        v_ids := v_ids || v_lot.id;
        v_parts := v_parts || v_part;
        v_total := v_total + v_part;
    END LOOP;
    v_effect.delta := v_total;
    v_effect.reversed_points := 0;
    v_effect.d_debt := -least(v_debt, v_total);
    v_effect.d_available := v_total + v_effect.d_debt;
    v_effect.d_pending := 0;
    v_effect.d_held := 0;
    v_left := v_effect.d_available;
    FOR v_at IN 1..cardinality(v_ids) LOOP
        v_part := least(v_left, v_parts[v_at]);
        EXIT WHEN v_part = 0;
        v_left := v_left - v_part;
        v_effect.lot_ids := v_effect.lot_ids || v_ids[v_at];
        v_effect.lot_open := v_effect.lot_open || v_part;
        v_effect.lot_pending := v_effect.lot_pending || 0::bigint;
        v_effect.lot_states := v_effect.lot_states || 'open'::text;
        v_effect.lot_expires := v_effect.lot_expires || v_expires[v_at];
    END LOOP;
    RETURN v_effect;
END $$;

CREATE FUNCTION loyalty_plan_reversal(m loyalty_movement) RETURNS loyalty_effect LANGUAGE plpgsql AS $$
DECLARE
    v_effect loyalty_effect;
    v_target loyalty_posting;
    v_account loyalty_account;
    v_own loyalty_lot;
    v_lot record;
    v_done bigint;
    v_wanted bigint;
    v_lasting bigint;
    v_left bigint;
    v_part bigint;
BEGIN
    SELECT * INTO v_target FROM loyalty_posting WHERE id = m.posting_id;
    SELECT coalesce(sum(r.reversed_points), 0) INTO v_done FROM loyalty_posting r WHERE r.reverses_id = v_target.id;
    v_wanted := abs(v_target.points) - v_done;
    IF v_target.kind NOT IN ('earn', 'bonus', 'adjust', 'redeem', 'expire')
        OR (v_target.points < 0 AND coalesce(m.points, v_wanted) <> v_wanted)
        OR (v_target.points < 0 AND m.base IS NOT NULL) THEN
        v_effect.error := 'not_reversible';
    ELSIF m.refunded > m.base OR m.refunded < 0 OR m.points > v_wanted THEN
        v_effect.error := CASE WHEN v_wanted = 0 THEN 'already_reversed' ELSE 'excessive_reversal' END;
    ELSE
        -- Parts of a refund are rounded cumulatively, so that they add up to the whole.
        v_wanted := coalesce(round(v_target.points * m.refunded / m.base)::bigint - v_done, m.points, v_wanted);
        IF v_wanted <= 0 THEN
            v_effect.error := 'already_reversed';
        END IF;
    END IF;
    IF v_effect.error IS NOT NULL THEN
        v_effect.details := jsonb_build_object('posting_id', v_target.id, 'reversed', v_done);
        RETURN v_effect;
    END IF;

    IF v_target.points < 0 THEN
        v_effect := loyalty_plan_return(m, ARRAY[v_target.id] || (
            SELECT array_agg(h.placed_posting_id) FROM loyalty_hold h WHERE h.id = v_target.hold_id), v_wanted);
        v_effect.reverses_id := v_target.id;
        v_effect.reversed_points := v_wanted;
        RETURN v_effect;
    END IF;

    SELECT * INTO v_account FROM loyalty_account WHERE id = m.account_id;
    SELECT * INTO v_own FROM loyalty_lot WHERE posting_id = v_target.id;
    -- Points that lapsed unspent gave the member nothing, so no more than the others is taken back.
    SELECT v_target.points + coalesce(sum(v.open_delta), 0) INTO v_lasting
    FROM loyalty_lotmove v JOIN loyalty_posting p ON p.id = v.posting_id
    LEFT JOIN loyalty_posting o ON o.id = p.reverses_id
    WHERE v.lot_id = v_own.id AND (p.kind = 'expire' OR o.kind = 'expire');
    v_left := greatest(least(v_done + v_wanted, v_lasting) - least(v_done, v_lasting), 0);
    v_effect.reverses_id := v_target.id;
    v_effect.reversed_points := v_wanted;
    v_effect.delta := -v_left;
    v_effect.d_available := 0;
    v_effect.d_pending := 0;
    v_effect.d_held := 0;
    v_part := least(v_left, v_own.remaining);
    v_left := v_left - v_part;
    IF v_part > 0 THEN
        v_effect.lot_ids := ARRAY[v_own.id];
        v_effect.lot_states := ARRAY[CASE WHEN v_part = v_own.remaining THEN 'voided' ELSE v_own.state END];
        IF v_own.state = 'pending' THEN
            v_effect.d_pending := -v_part;
            v_effect.lot_pending := ARRAY[-v_part];
            v_effect.lot_open := ARRAY[0];
        ELSE
            v_effect.d_available := -v_part;
            v_effect.lot_pending := ARRAY[0];
            v_effect.lot_open := ARRAY[-v_part];
        END IF;
    END IF;
    FOR v_lot IN
        SELECT l.id, l.remaining FROM loyalty_lot l
        WHERE v_left > 0 AND l.account_id = m.account_id AND l.state = 'open' AND l.id <> v_own.id
        ORDER BY l.expires_on, l.id
    LOOP
        EXIT WHEN v_left = 0;
        v_part := least(v_left, v_lot.remaining);
        v_left := v_left - v_part;
        v_effect.d_available := v_effect.d_available - v_part;
        v_effect.lot_ids := v_effect.lot_ids || v_lot.id;
        v_effect.lot_open := v_effect.lot_open || -v_part;
        v_effect.lot_pending := v_effect.lot_pending || 0::bigint;
        v_effect.lot_states := v_effect.lot_states || CASE WHEN v_part = v_lot.remaining THEN 'spent' ELSE 'open' END;
    END LOOP;
    IF m.shortfall_policy = 'debt' THEN
        v_effect.d_debt := v_left;
    ELSE
        v_effect.d_debt := 0;
        v_effect.delta := v_effect.delta + v_left;
    END IF;
    RETURN v_effect;
END $$;

-- Capture a hold in whole or in part, or void it; what is not captured goes back to its lots.
CREATE FUNCTION loyalty_plan_closing(m loyalty_movement) RETURNS loyalty_effect LANGUAGE plpgsql AS $$
DECLARE
    v_effect loyalty_effect;
    v_hold loyalty_hold;
    v_captured bigint;
BEGIN
    SELECT * INTO v_hold FROM loyalty_hold WHERE id = m.hold_id;
    v_captured := CASE WHEN m.verb = 'capture' THEN coalesce(m.points, v_hold.points) ELSE 0 END;
    IF v_hold.state <> 'active' OR (m.verb = 'capture' AND v_hold.hold_until <= m.occurred_at) THEN
        v_effect.error := 'hold_closed';
        v_effect.details := jsonb_build_object('hold_id', v_hold.id, 'state', v_hold.state);
        RETURN v_effect;
    ELSIF v_captured > v_hold.points THEN
        v_effect.error := 'insufficient_points';
        v_effect.details := jsonb_build_object('needed', v_captured, 'available', v_hold.points);
        RETURN v_effect;
    END IF;
    v_effect := loyalty_plan_return(m, ARRAY[v_hold.placed_posting_id], v_hold.points - v_captured);
    v_effect.d_held := -v_hold.points;
    v_effect.held_id := v_hold.id;
    IF m.verb = 'capture' THEN
        v_effect.delta := v_effect.delta - v_hold.points;
        v_effect.hold_state := 'captured';
    ELSE
        v_effect.hold_state := CASE WHEN v_hold.hold_until <= m.occurred_at THEN 'timed_out' ELSE 'voided' END;
    END IF;
    RETURN v_effect;
END $$;

CREATE FUNCTION loyalty_post(p_movements loyalty_movement[], p_strict boolean) RETURNS SETOF loyalty_result
LANGUAGE plpgsql AS $$
DECLARE
    v_movements loyalty_movement[] := p_movements;
    v_effects loyalty_effect[];
    v_lapsed loyalty_movement[];
    v_rounds integer := 1;
    v_due boolean;
    v_special boolean;
    v_shape text;
    v_refused record;
BEGIN
    IF cardinality(p_movements) = 1 THEN
        v_due := p_movements[1].verb IN ('release', 'expire');
        v_special := p_movements[1].verb IN ('reverse', 'capture', 'void');
        v_shape := CASE WHEN p_movements[1].verb = 'earn' THEN 'in'
                        WHEN p_movements[1].verb IN ('redeem', 'release', 'expire', 'reverse') THEN 'out' END;
    ELSE
        SELECT max(m.round), bool_or(m.verb IN ('release', 'expire')), bool_or(m.verb IN ('reverse', 'capture', 'void')),
            CASE WHEN bool_and(m.verb = 'earn') THEN 'in'
                 WHEN bool_and(m.verb IN ('redeem', 'release', 'expire', 'reverse')) THEN 'out' END
        INTO v_rounds, v_due, v_special, v_shape FROM unnest(p_movements) m;
    END IF;

    -- What these do depends on which lots lapsed, so a late nightly expiry is made up for first.
    IF v_special THEN
        SELECT array_agg(ROW(0, 'expire', 'expire', m.account_id, m.membership_id, m.unit, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, m.occurred_at,
            m.today, NULL, NULL, NULL, NULL, NULL, 1, false, m.programme_id, m.today, m.is_active, m.member_number,
            m.shortfall_policy, m.lapsed_policy, m.grace_days)::loyalty_movement)
        INTO v_lapsed
        FROM (SELECT DISTINCT ON (x.account_id) x.* FROM unnest(p_movements) x
              WHERE x.verb IN ('reverse', 'capture', 'void')) m
        WHERE EXISTS (SELECT 1 FROM loyalty_lot l
                      WHERE l.account_id = m.account_id AND l.state = 'open' AND l.expires_on < m.today);
        IF v_lapsed IS NOT NULL THEN
            PERFORM loyalty_post(v_lapsed, false);
        END IF;
    END IF;

    FOR v_round IN 1..v_rounds LOOP
        IF v_rounds > 1 THEN
            v_movements := (SELECT array_agg(m ORDER BY m.i) FROM unnest(p_movements) m WHERE m.round = v_round);
        END IF;
        v_effects := loyalty_plan(v_movements);
        IF v_due THEN
            v_effects := loyalty_plan_due(v_movements, v_effects);
        END IF;
        IF v_special THEN
            FOR v_at IN 1..cardinality(v_movements) LOOP
                IF v_effects[v_at].error IS NULL THEN
                    IF v_movements[v_at].verb = 'reverse' THEN
                        v_effects[v_at] := loyalty_plan_reversal(v_movements[v_at]);
                    ELSIF v_movements[v_at].verb IN ('capture', 'void') THEN
                        v_effects[v_at] := loyalty_plan_closing(v_movements[v_at]);
                    END IF;
                END IF;
            END LOOP;
        END IF;

        IF EXISTS (SELECT 1 FROM unnest(v_effects) e WHERE e.error IS NOT NULL) THEN
            IF p_strict THEN
                SELECT z.error, z.details, z.i INTO v_refused FROM unnest(v_movements, v_effects) z
                WHERE z.error <> 'replayed' ORDER BY z.i LIMIT 1;
                IF FOUND THEN
                    RAISE EXCEPTION 'ledger: %', v_refused.error USING ERRCODE = 'GK001',
                        DETAIL = jsonb_build_object('error', v_refused.error, 'details', v_refused.details, 'i', v_refused.i);
                END IF;
            END IF;
            RETURN QUERY SELECT z.i, z.error, z.details, p.id, z.account_id, p.seq, z.kind, p.points,
                p.available_after, p.pending_after, p.held_after, p.debt_after, p.hold_id
            FROM unnest(v_movements, v_effects) z LEFT JOIN loyalty_posting p ON p.id = z.found_id
            WHERE z.error IS NOT NULL;
            CONTINUE WHEN NOT EXISTS (SELECT 1 FROM unnest(v_effects) e WHERE e.error IS NULL);
        END IF;

        -- @apply is replaced by the statement below without the parts a shape has no use for, so that
        -- they and their guards cost nothing: see 0005_ledger_posting.py.
        IF v_shape = 'in' THEN
            @apply(used, held, closed)
        ELSIF v_shape = 'out' THEN
            @apply(brought, held, closed)
        ELSE
            @apply()
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION loyalty_in_round(p_movement loyalty_movement, p_round bigint, p_twin boolean)
RETURNS loyalty_movement LANGUAGE plpgsql AS $$
BEGIN
    p_movement.round := p_round;
    p_movement.twin := p_twin;
    RETURN p_movement;
END $$;

-- The door for callers: movements as a JSON array of objects with the fields of loyalty_movement.
-- Accounts are locked in the order of their ids before anything else is read.
CREATE FUNCTION loyalty_post_movements(p_movements jsonb, p_strict boolean) RETURNS SETOF loyalty_result
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_movements loyalty_movement[];
BEGIN
    SELECT array_agg(ROW(
        l.i, l.verb, l.kind, l.account_id, l.membership_id, l.unit, l.points, l.lot_class,
        CASE WHEN l.expires_by_programme THEN CASE l.expiry_rounding
            WHEN 'month_end' THEN (date_trunc('month', l.booked_date + l.expiry_life) + interval '1 month - 1 day')::date
            WHEN 'year_end' THEN (date_trunc('year', l.booked_date + l.expiry_life) + interval '1 year - 1 day')::date
            ELSE (l.booked_date + l.expiry_life)::date END ELSE l.expires_on END,
        l.expires_by_programme,
        CASE WHEN NOT coalesce(l.pending_by_programme, false) THEN l.pending_until
             WHEN l.pending_days > 0 THEN l.booked_date + l.pending_days END,
        l.pending_by_programme, l.unit_cost, l.posting_id, l.refunded, l.base, l.hold_id, l.hold_until,
        l.source_system, l.source_reference, l.source_line, l.request_client, l.request_key, l.request_hash,
        l.explanation, l.rule_version, l.occurred_at, l.booked_date, l.property_id, l.actor_id, l.reason,
        l.trace_id, l.address,
        1, false,
        l.programme_id, l.today, l.is_active, l.member_number, l.shortfall_policy, l.lapsed_policy, l.grace_days
    )::loyalty_movement ORDER BY l.i)
    INTO v_movements
    FROM (
        SELECT r.i, r.verb, r.found_kind AS kind, a.id AS account_id, a.membership_id, a.unit, r.points, r.lot_class,
            r.expires_on, r.expires_by_programme, r.pending_until, r.pending_by_programme, r.unit_cost, r.posting_id,
            r.refunded, r.base, r.hold_id, r.hold_until, r.source_system, r.source_reference, r.source_line,
            r.request_client, r.request_key, r.request_hash, r.explanation, r.rule_version, r.occurred_at, r.property_id,
            r.actor_id, r.reason, r.trace_id, r.address,
            (r.occurred_at AT TIME ZONE g.time_zone)::date AS today,
            coalesce(r.business_date, (r.occurred_at AT TIME ZONE g.time_zone)::date) AS booked_date,
            a.programme_id, s.status = 'active' AS is_active, s.number AS member_number,
            g.shortfall_policy, g.lapsed_return_policy AS lapsed_policy, g.lapsed_return_grace_days AS grace_days,
            make_interval(months => g.expiry_months) AS expiry_life, g.expiry_rounding, g.pending_days
        FROM (
            SELECT m.*,
                coalesce(
                    m.account_id,
                    (SELECT x.id FROM loyalty_account x WHERE x.membership_id = m.membership_id AND x.unit = coalesce(m.unit, 'points')),
                    (SELECT x.account_id FROM loyalty_posting x WHERE x.id = m.posting_id),
                    (SELECT x.account_id FROM loyalty_hold x WHERE x.id = m.hold_id)) AS found_account_id,
                CASE m.verb
                    WHEN 'earn' THEN coalesce(m.kind, 'earn')
                    WHEN 'capture' THEN 'redeem'
                    WHEN 'reverse' THEN (SELECT CASE WHEN x.points > 0 THEN 'clawback' ELSE 'refund' END
                                         FROM loyalty_posting x WHERE x.id = m.posting_id)
                    ELSE m.verb END AS found_kind
            FROM jsonb_populate_recordset(NULL::loyalty_movement, p_movements) m ORDER BY found_account_id OFFSET 0
        ) r
        CROSS JOIN LATERAL (
            SELECT x.id, x.programme_id, x.membership_id, x.unit FROM loyalty_account x
            WHERE x.id = r.found_account_id FOR NO KEY UPDATE) a
        CROSS JOIN LATERAL (SELECT x.* FROM loyalty_programme x WHERE x.id = a.programme_id OFFSET 0) g
        CROSS JOIN LATERAL (SELECT x.status, x.number FROM loyalty_membership x WHERE x.id = a.membership_id OFFSET 0) s
        OFFSET 0
    ) l;
    IF coalesce(cardinality(v_movements), 0) <> jsonb_array_length(p_movements) THEN
        RAISE EXCEPTION 'ledger: unknown_account' USING ERRCODE = 'GK001',
            DETAIL = jsonb_build_object('error', 'unknown_account', 'details', (
                SELECT jsonb_build_object('movement', m.value) FROM jsonb_array_elements(p_movements) m
                WHERE NOT EXISTS (SELECT 1 FROM unnest(v_movements) v WHERE v.i = (m.value ->> 'i')::integer) LIMIT 1));
    END IF;
    IF cardinality(v_movements) > 1 THEN
        -- The k-th movement of an account belongs to the k-th round; a source line names one account.
        v_movements := (SELECT array_agg(w.m ORDER BY w.i) FROM (
            SELECT m.i, loyalty_in_round(m,
                row_number() OVER (PARTITION BY m.account_id ORDER BY m.i),
                m.source_reference IS NOT NULL AND m.account_id <> first_value(m.account_id) OVER (
                    PARTITION BY m.programme_id, m.source_system, m.source_reference, m.source_line, m.kind
                    ORDER BY m.i)) AS m
            FROM unnest(v_movements) m) w);
    END IF;
    RETURN QUERY SELECT * FROM loyalty_post(v_movements, p_strict);
END $$;
