-- What the database itself refuses in the points ledger.
--
-- Posting writes account, postings, lots and moves in ONE statement (0005). AFTER … FOR EACH STATEMENT
-- triggers with transition tables see the state at its end, so each guard checks at once, set-based,
-- what would otherwise need deferred row triggers. Every guard is local (account = its head posting,
-- posting = the one before it + its moves, lot = its moves); together they give by induction
--     available = sum of open lots,  pending = sum of pending lots,  held = sum of active holds.

-- Each unique key carries the account, so that the tables can be hash-partitioned.
ALTER TABLE loyalty_posting DROP CONSTRAINT loyalty_posting_pkey;
ALTER TABLE loyalty_posting ADD CONSTRAINT loyalty_posting_pkey PRIMARY KEY (id, account_id);
ALTER TABLE loyalty_lot DROP CONSTRAINT loyalty_lot_pkey;
ALTER TABLE loyalty_lot ADD CONSTRAINT loyalty_lot_pkey PRIMARY KEY (id, account_id);
ALTER TABLE loyalty_hold DROP CONSTRAINT loyalty_hold_pkey;
ALTER TABLE loyalty_hold ADD CONSTRAINT loyalty_hold_pkey PRIMARY KEY (id, account_id);

-- Balances and remaining points change often and stand in no index: leave room for HOT updates.
ALTER TABLE loyalty_account SET (fillfactor = 75);
ALTER TABLE loyalty_lot SET (fillfactor = 85);

-- The day lots lapse follows the order they came in, so a block range index finds the lapsed ones
-- for the nightly batch at no cost to posting.
CREATE INDEX loyalty_lot_lapse ON loyalty_lot USING brin (expires_on) WITH (pages_per_range = 32);

-- Hash of a posting's content, chained to the posting before it. Instants are microseconds since
-- 1970 so that the text does not depend on the session's time zone.
CREATE FUNCTION loyalty_posting_hash(
    previous_hash bytea, id bigint, account_id bigint, seq bigint, kind text, points bigint, available_after
    bigint, pending_after bigint, held_after bigint, debt_after bigint, reverses_id bigint, reversed_points
    bigint, hold_id bigint, source_system text, source_reference text, source_line text, request_client text,
    request_key text, request_hash text, rule_version text, explanation jsonb, occurred_at timestamptz,
    business_date date, property_id bigint, actor_id bigint, reason text
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(previous_hash || convert_to(ROW(
        id, account_id, seq, kind, points, available_after, pending_after, held_after, debt_after,
        reverses_id, reversed_points, hold_id, source_system, source_reference, source_line,
        request_client, request_key, request_hash, rule_version, explanation,
        (extract(epoch FROM occurred_at) * 1000000)::bigint, business_date - DATE '1970-01-01',
        property_id, actor_id, reason)::text, 'UTF8'))
$$;

CREATE FUNCTION loyalty_refuse(p_what text, p_table text, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger: %', p_what
        USING ERRCODE = 'integrity_constraint_violation', TABLE = p_table, DETAIL = format('%s %s', p_table, p_id);
END $$;

CREATE FUNCTION loyalty_check_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n
    LEFT JOIN LATERAL (SELECT * FROM loyalty_posting x WHERE x.account_id = n.id AND x.seq = n.last_seq OFFSET 0) p ON true
    WHERE CASE WHEN n.last_seq = 0
        THEN (n.available, n.pending, n.held, n.debt) <> (0, 0, 0, 0) OR n.head_hash <> ''
        ELSE p.id IS NULL
            OR (n.available, n.pending, n.held, n.debt) <> (p.available_after, p.pending_after, p.held_after, p.debt_after)
            OR n.head_hash <> p.hash
        END
        OR EXISTS (SELECT 1 FROM loyalty_posting x WHERE x.account_id = n.id AND x.seq = n.last_seq + 1 OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('the balances of an account are those of its last posting', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
    v_what text;
BEGIN
    SELECT f.id, f.what INTO v_id, v_what
    FROM (SELECT n.id, CASE
            WHEN a.id IS NULL OR n.seq > a.last_seq THEN 'an account is changed by the same statement as its postings'
            WHEN n.seq > 1 AND b.id IS NULL THEN 'the postings of an account follow each other without a gap'
            WHEN n.previous_hash <> coalesce(b.hash, ''::bytea) OR n.hash <> loyalty_posting_hash(
                n.previous_hash, n.id, n.account_id, n.seq, n.kind, n.points, n.available_after, n.pending_after,
                n.held_after, n.debt_after, n.reverses_id, n.reversed_points, n.hold_id, n.source_system,
                n.source_reference, n.source_line, n.request_client, n.request_key, n.request_hash, n.rule_version,
                n.explanation, n.occurred_at, n.business_date, n.property_id, n.actor_id, n.reason)
                THEN 'a posting carries the hash of its content and of the posting before it'
            WHEN CASE WHEN n.kind IN ('release', 'hold', 'void') THEN d.available - d.debt
                      ELSE d.available + d.pending + d.held - d.debt END <> n.points
                THEN 'balances continue those of the posting before'
            WHEN CASE n.kind
                    WHEN 'release' THEN d.pending <> -n.points OR d.held <> 0
                    WHEN 'hold' THEN d.held <> -n.points OR d.pending <> 0 OR d.debt <> 0
                    WHEN 'void' THEN d.held > -n.points OR d.held = 0 OR d.pending <> 0
                    WHEN 'redeem' THEN d.pending <> 0 OR d.held > 0 OR (d.held <> 0) <> (n.hold_id IS NOT NULL)
                    WHEN 'clawback' THEN d.held <> 0 OR d.available > 0 OR d.pending > 0 OR d.debt < 0
                    WHEN 'expire' THEN d.pending <> 0 OR d.held <> 0 OR d.debt <> 0
                    ELSE d.held <> 0 OR (n.points > 0 AND (d.debt > 0 OR d.available < 0 OR d.pending < 0))
                END THEN 'each kind of posting changes only the balances it is about'
            WHEN (d.available <> 0 OR d.pending <> 0)
                AND NOT EXISTS (SELECT 1 FROM loyalty_lotmove v WHERE v.posting_id = n.id AND v.account_id = n.account_id OFFSET 0)
                THEN 'a posting moves the lots it speaks of'
            WHEN n.source_reference <> '' AND NOT EXISTS (
                SELECT 1 FROM loyalty_sourcekey k
                WHERE (k.programme_id, k.system, k.reference, k.line, k.kind)
                    = (a.programme_id, n.source_system, n.source_reference, n.source_line, n.kind)
                    AND k.posting_id = n.id AND k.account_id = n.account_id OFFSET 0)
                THEN 'a source line is credited once, to one account'
            WHEN n.request_key <> '' AND NOT EXISTS (
                SELECT 1 FROM loyalty_requestkey k
                WHERE (k.programme_id, k.client, k.key) = (a.programme_id, n.request_client, n.request_key)
                    AND k.posting_id = n.id OFFSET 0)
                THEN 'a request key leads to one posting'
            WHEN d.held <> 0 AND NOT EXISTS (
                SELECT 1 FROM loyalty_hold h
                WHERE h.id = n.hold_id AND h.account_id = n.account_id AND h.points = abs(d.held)
                    AND CASE WHEN d.held > 0 THEN h.placed_posting_id ELSE h.closed_posting_id END = n.id OFFSET 0)
                THEN 'held points belong to a hold'
            WHEN n.reverses_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM loyalty_posting o
                WHERE o.id = n.reverses_id AND o.account_id = n.account_id AND o.seq < n.seq
                    AND o.kind IN ('earn', 'bonus', 'adjust', 'redeem', 'expire')
                    AND CASE WHEN o.points > 0 THEN n.kind = 'clawback' ELSE n.kind = 'refund' END
                    AND abs(n.points) <= n.reversed_points
                    AND abs(o.points) >= (
                        SELECT sum(r.reversed_points) FROM loyalty_posting r
                        WHERE r.reverses_id = o.id AND r.reverses_id IS NOT NULL) OFFSET 0)
                THEN 'no more is reversed than was posted'
        END AS what
    FROM added n
    LEFT JOIN LATERAL (SELECT * FROM loyalty_account x WHERE x.id = n.account_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_posting x WHERE x.account_id = n.account_id AND x.seq = n.seq - 1 OFFSET 0) b ON true
    CROSS JOIN LATERAL (SELECT
        n.available_after - coalesce(b.available_after, 0) AS available,
        n.pending_after - coalesce(b.pending_after, 0) AS pending,
        n.held_after - coalesce(b.held_after, 0) AS held,
        n.debt_after - coalesce(b.debt_after, 0) AS debt OFFSET 0) d
    OFFSET 0) f WHERE f.what IS NOT NULL LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse(v_what, TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_lots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(v.open_delta), 0) AS open, coalesce(sum(v.pending_delta), 0) AS pending
        FROM loyalty_lotmove v WHERE v.lot_id = n.id AND v.account_id = n.account_id) s
    WHERE s.open <> CASE n.state WHEN 'open' THEN n.remaining ELSE 0 END
        OR s.pending <> CASE n.state WHEN 'pending' THEN n.remaining ELSE 0 END
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('a lot is the sum of its moves', TG_TABLE_NAME, v_id);
    END IF;
    IF TG_OP = 'INSERT' THEN
        SELECT n.id INTO v_id
        FROM changed n
        LEFT JOIN LATERAL (
            SELECT * FROM loyalty_posting x WHERE x.id = n.posting_id AND x.account_id = n.account_id OFFSET 0) p ON true
        WHERE p.id IS NULL OR p.points <> n.original OR p.kind NOT IN ('earn', 'bonus', 'adjust')
            OR p.business_date <> n.earned_date OR p.property_id IS DISTINCT FROM n.funding_property_id
            OR EXISTS (SELECT 1 FROM loyalty_lot o WHERE o.posting_id = n.posting_id AND o.id <> n.id OFFSET 0)
        LIMIT 1;
        IF FOUND THEN
            PERFORM loyalty_refuse('a lot is what its posting brought in', TG_TABLE_NAME, v_id);
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.posting_id INTO v_id
    FROM added n
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_posting x WHERE x.id = n.posting_id AND x.account_id = n.account_id OFFSET 0) p ON true
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_posting x WHERE x.account_id = p.account_id AND x.seq = p.seq - 1 OFFSET 0) b ON true
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_lot x WHERE x.id = n.lot_id AND x.account_id = n.account_id OFFSET 0) l ON true
    CROSS JOIN LATERAL (
        SELECT sum(v.open_delta) AS open, sum(v.pending_delta) AS pending
        FROM loyalty_lotmove v WHERE v.posting_id = n.posting_id AND v.account_id = n.account_id) s
    CROSS JOIN LATERAL (
        SELECT sum(v.open_delta) AS open, sum(v.pending_delta) AS pending
        FROM loyalty_lotmove v WHERE v.lot_id = n.lot_id AND v.account_id = n.account_id) t
    WHERE p.id IS NULL OR l.id IS NULL
        OR s.open <> p.available_after - coalesce(b.available_after, 0)
        OR s.pending <> p.pending_after - coalesce(b.pending_after, 0)
        OR t.open <> CASE l.state WHEN 'open' THEN l.remaining ELSE 0 END
        OR t.pending <> CASE l.state WHEN 'pending' THEN l.remaining ELSE 0 END
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('the moves of a posting add up to it, those of a lot to the lot', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_holds() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_posting x WHERE x.id = n.placed_posting_id AND x.account_id = n.account_id OFFSET 0) p ON true
    LEFT JOIN LATERAL (
        SELECT * FROM loyalty_posting x WHERE x.id = n.closed_posting_id AND x.account_id = n.account_id OFFSET 0) c ON true
    WHERE p.hold_id IS DISTINCT FROM n.id OR p.kind <> 'hold' OR p.points <> -n.points
        OR CASE n.state WHEN 'active'
            THEN EXISTS (SELECT 1 FROM loyalty_posting x WHERE x.hold_id = n.id AND x.kind <> 'hold' OFFSET 0)
            ELSE c.hold_id IS DISTINCT FROM n.id
                OR c.kind <> CASE n.state WHEN 'captured' THEN 'redeem' ELSE 'void' END END
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('a hold stands as its postings say', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.remaining = 0 AND NEW.remaining > 0 AND NEW.state = 'open' AND NEW.expires_on > OLD.expires_on THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'ledger: the day a lot lapses changes only when it opens again'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER loyalty_account_check_insert AFTER INSERT ON loyalty_account
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_accounts();
CREATE TRIGGER loyalty_account_check_update AFTER UPDATE ON loyalty_account
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_accounts();
CREATE TRIGGER loyalty_account_fixed BEFORE UPDATE OF id, programme_id, membership_id, unit ON loyalty_account
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_account_no_delete BEFORE DELETE ON loyalty_account
    FOR EACH ROW WHEN (OLD.last_seq > 0) EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_posting_check AFTER INSERT ON loyalty_posting
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_postings();
CREATE TRIGGER loyalty_posting_append_only BEFORE UPDATE OR DELETE ON loyalty_posting
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_lot_check_insert AFTER INSERT ON loyalty_lot
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_lots();
CREATE TRIGGER loyalty_lot_check_update AFTER UPDATE ON loyalty_lot
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_lots();
CREATE TRIGGER loyalty_lot_fixed
    BEFORE UPDATE OF id, account_id, posting_id, lot_class, original, earned_date, release_on, funding_property_id, unit_cost
    ON loyalty_lot FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_lot_reopening BEFORE UPDATE OF expires_on ON loyalty_lot
    FOR EACH ROW WHEN (OLD.expires_on IS DISTINCT FROM NEW.expires_on) EXECUTE FUNCTION loyalty_check_reopening();
CREATE TRIGGER loyalty_lot_no_delete BEFORE DELETE ON loyalty_lot
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_lotmove_check AFTER INSERT ON loyalty_lotmove
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_moves();
CREATE TRIGGER loyalty_lotmove_append_only BEFORE UPDATE OR DELETE ON loyalty_lotmove
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_hold_check_insert AFTER INSERT ON loyalty_hold
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_holds();
CREATE TRIGGER loyalty_hold_check_update AFTER UPDATE ON loyalty_hold
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_holds();
CREATE TRIGGER loyalty_hold_fixed BEFORE UPDATE OF id, account_id, points, placed_posting_id ON loyalty_hold
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_hold_no_delete BEFORE DELETE ON loyalty_hold
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_requestkey_append_only BEFORE UPDATE OR DELETE ON loyalty_requestkey
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_sourcekey_append_only BEFORE UPDATE OR DELETE ON loyalty_sourcekey
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_account_no_truncate BEFORE TRUNCATE ON loyalty_account
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_posting_no_truncate BEFORE TRUNCATE ON loyalty_posting
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_lot_no_truncate BEFORE TRUNCATE ON loyalty_lot
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_lotmove_no_truncate BEFORE TRUNCATE ON loyalty_lotmove
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_hold_no_truncate BEFORE TRUNCATE ON loyalty_hold
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_requestkey_no_truncate BEFORE TRUNCATE ON loyalty_requestkey
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_sourcekey_no_truncate BEFORE TRUNCATE ON loyalty_sourcekey
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
