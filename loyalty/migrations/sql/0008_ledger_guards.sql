-- The guards of 0004 again, with the same promises at a fraction of the cost of a single movement.
--
-- Most of a guard's time went into starting it, not into running it: a CHECK is read from its text for every
-- statement, and each table a query joins costs about as much to open as its one row costs to find. So the
-- CHECKs are functions (compiled once a connection), a guard opens only what it compares, no row is compared
-- by two guards, and the questions about holds and reversals are asked only where there are any.
--
-- Who compares what, always at the end of the statement and for every row it wrote:
--   account   begins empty, and changes by one posting at a time: its balances before and after are the two
--             sides of that posting, whose arithmetic, hash, moves, keys, hold and reversal are looked at here
--   posting   is the last one of its account. Numbers have no gap, so its account was changed with it
--   lot       is the sum of its moves; a new one is what its posting brought in, once (a unique key)
--   move      is written by the statement that writes its posting and its lot, so that their guards have
--             seen it: xmin and cmin are the transaction and the command which wrote a row

CREATE FUNCTION loyalty_kind_known(kind text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN kind IN ('earn', 'bonus', 'release', 'redeem', 'refund', 'expire', 'adjust', 'clawback', 'hold', 'void');
END $$;

CREATE FUNCTION loyalty_none_negative(available bigint, pending bigint, held bigint, debt bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN available >= 0 AND pending >= 0 AND held >= 0 AND debt >= 0;
END $$;

CREATE FUNCTION loyalty_posting_sound(
    kind text, seq bigint, points bigint, available bigint, pending bigint, held bigint, debt bigint, reverses_id bigint,
    reversed_points bigint
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN seq >= 1 AND available >= 0 AND pending >= 0 AND held >= 0 AND debt >= 0
        AND CASE
            WHEN kind IN ('earn', 'bonus', 'release', 'refund', 'void') THEN points >= 0
            WHEN kind IN ('redeem', 'expire', 'clawback', 'hold') THEN points <= 0
            WHEN kind = 'adjust' THEN points <> 0
            ELSE false END
        AND CASE
            WHEN kind IN ('refund', 'clawback') THEN reverses_id IS NOT NULL AND reversed_points > 0
            ELSE reverses_id IS NULL AND reversed_points = 0 END;
END $$;

CREATE FUNCTION loyalty_lot_sound(lot_class text, state text, original bigint, remaining bigint, release_on date)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN original > 0 AND remaining <= original
        AND lot_class IN ('earned', 'bonus', 'purchased', 'compensation')
        AND CASE
            WHEN state = 'open' THEN remaining > 0
            WHEN state = 'pending' THEN remaining > 0 AND release_on IS NOT NULL
            WHEN state IN ('spent', 'expired', 'voided') THEN remaining = 0
            ELSE false END;
END $$;

CREATE FUNCTION loyalty_check_new_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM loyalty_refuse('an account begins empty', TG_TABLE_NAME, NEW.id);
    RETURN NULL;
END $$;

-- What is wrong with a posting that changes the balances by so much, if anything.
CREATE FUNCTION loyalty_flaw(
    kind text, points bigint, hold_id bigint, available bigint, pending bigint, held bigint, debt bigint
) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF points <> (CASE WHEN kind IN ('release', 'hold', 'void') THEN available - debt
                       ELSE available + pending + held - debt END) THEN
        RETURN 'balances continue those of the posting before';
    ELSIF (CASE kind
            WHEN 'earn' THEN held <> 0 OR debt > 0 OR available < 0 OR pending < 0
            WHEN 'redeem' THEN pending <> 0 OR held > 0 OR (held <> 0) <> (hold_id IS NOT NULL)
            WHEN 'release' THEN pending <> -points OR held <> 0
            WHEN 'hold' THEN held <> -points OR pending <> 0 OR debt <> 0
            WHEN 'void' THEN held > -points OR held = 0 OR pending <> 0
            WHEN 'clawback' THEN held <> 0 OR available > 0 OR pending > 0 OR debt < 0
            WHEN 'expire' THEN pending <> 0 OR held <> 0 OR debt <> 0
            ELSE held <> 0 OR (points > 0 AND (debt > 0 OR available < 0 OR pending < 0)) END) THEN
        RETURN 'each kind of posting changes only the balances it is about';
    ELSIF held <> 0 AND hold_id IS NULL THEN
        RETURN 'held points belong to a hold';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION loyalty_check_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_flaw text;
    v_rare boolean;
BEGIN
    SELECT bool_or(p.hold_id IS NOT NULL OR p.reverses_id IS NOT NULL), max(CASE
        WHEN n.last_seq = 0 THEN
            CASE WHEN n.available <> 0 OR n.pending <> 0 OR n.held <> 0 OR n.debt <> 0 OR n.head_hash <> ''
                THEN 'an account begins empty' END
        WHEN p.id IS NULL OR p.available_after <> n.available OR p.pending_after <> n.pending
            OR p.held_after <> n.held OR p.debt_after <> n.debt OR p.hash <> n.head_hash
            THEN 'the balances of an account are those of its last posting'
        WHEN n.last_seq > 1 AND b.id IS NULL THEN 'the postings of an account follow each other without a gap'
        WHEN p.previous_hash <> coalesce(b.hash, '') OR p.hash <> loyalty_posting_hash(
            p.previous_hash, p.id, p.account_id, p.seq, p.kind, p.points, p.available_after, p.pending_after,
            p.held_after, p.debt_after, p.reverses_id, p.reversed_points, p.hold_id, p.source_system,
            p.source_reference, p.source_line, p.request_client, p.request_key, p.request_hash, p.rule_version,
            p.explanation, p.occurred_at, p.business_date, p.property_id, p.actor_id, p.reason)
            THEN 'a posting carries the hash of its content and of the posting before it'
        WHEN NOT (
            SELECT coalesce(sum(v.open_delta), 0) = p.available_after - coalesce(b.available_after, 0)
                AND coalesce(sum(v.pending_delta), 0) = p.pending_after - coalesce(b.pending_after, 0)
            FROM loyalty_lotmove v WHERE v.posting_id = p.id AND v.account_id = n.id)
            THEN 'the moves of a posting add up to it'
        WHEN p.source_reference <> '' AND NOT EXISTS (
            SELECT FROM loyalty_sourcekey k
            WHERE k.programme_id = n.programme_id AND k.system = p.source_system AND k.reference = p.source_reference
                AND k.line = p.source_line AND k.kind = p.kind AND k.posting_id = p.id AND k.account_id = n.id OFFSET 0)
            THEN 'a source line is credited once, to one account'
        WHEN p.request_key <> '' AND NOT EXISTS (
            SELECT FROM loyalty_requestkey k
            WHERE k.programme_id = n.programme_id AND k.client = p.request_client AND k.key = p.request_key
                AND k.posting_id = p.id OFFSET 0)
            THEN 'a request key leads to one posting'
        ELSE loyalty_flaw(
            p.kind, p.points, p.hold_id, p.available_after - coalesce(b.available_after, 0),
            p.pending_after - coalesce(b.pending_after, 0), p.held_after - coalesce(b.held_after, 0),
            p.debt_after - coalesce(b.debt_after, 0))
        END || E'\n' || n.id)
    INTO v_rare, v_flaw
    FROM changed n
    LEFT JOIN loyalty_posting p ON p.account_id = n.id AND p.seq = n.last_seq
    LEFT JOIN loyalty_posting b ON b.account_id = n.id AND b.seq = n.last_seq - 1;
    IF v_flaw IS NULL AND v_rare THEN
        SELECT max('held points belong to a hold, and no more is reversed than was posted' || E'\n' || n.id) INTO v_flaw
        FROM changed n
        CROSS JOIN LATERAL (SELECT * FROM loyalty_posting x WHERE x.account_id = n.id AND x.seq = n.last_seq OFFSET 0) p
        CROSS JOIN LATERAL (
            SELECT p.held_after - coalesce(min(x.held_after), 0) AS held
            FROM loyalty_posting x WHERE x.account_id = n.id AND x.seq = n.last_seq - 1 OFFSET 0) d
        WHERE (d.held <> 0 AND NOT EXISTS (
                SELECT FROM loyalty_hold h
                WHERE h.id = p.hold_id AND h.account_id = n.id AND h.points = abs(d.held)
                    AND CASE WHEN d.held > 0 THEN h.placed_posting_id ELSE h.closed_posting_id END = p.id OFFSET 0))
            OR (p.reverses_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM loyalty_posting o
                WHERE o.id = p.reverses_id AND o.account_id = n.id AND o.seq < p.seq
                    AND o.kind IN ('earn', 'bonus', 'adjust', 'redeem', 'expire')
                    AND CASE WHEN o.points > 0 THEN p.kind = 'clawback' ELSE p.kind = 'refund' END
                    AND abs(p.points) <= p.reversed_points
                    AND abs(o.points) >= (
                        SELECT sum(r.reversed_points) FROM loyalty_posting r
                        WHERE r.reverses_id = o.id AND r.reverses_id IS NOT NULL) OFFSET 0));
    END IF;
    IF v_flaw IS NOT NULL THEN
        PERFORM loyalty_refuse(split_part(v_flaw, E'\n', 1), TG_TABLE_NAME, split_part(v_flaw, E'\n', 2)::bigint);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION loyalty_check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM added n
    WHERE NOT EXISTS (SELECT FROM loyalty_account a WHERE a.id = n.account_id AND a.last_seq = n.seq OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('an account is changed by the same statement as its posting', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION loyalty_check_lots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n
    WHERE NOT (
        SELECT coalesce(sum(v.open_delta), 0) = CASE n.state WHEN 'open' THEN n.remaining ELSE 0 END
            AND coalesce(sum(v.pending_delta), 0) = CASE n.state WHEN 'pending' THEN n.remaining ELSE 0 END
        FROM loyalty_lotmove v WHERE v.lot_id = n.id AND v.account_id = n.account_id)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('a lot is the sum of its moves', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION loyalty_check_new_lots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM added n
    WHERE NOT (
        SELECT coalesce(sum(v.open_delta), 0) = CASE n.state WHEN 'open' THEN n.remaining ELSE 0 END
            AND coalesce(sum(v.pending_delta), 0) = CASE n.state WHEN 'pending' THEN n.remaining ELSE 0 END
        FROM loyalty_lotmove v WHERE v.lot_id = n.id AND v.account_id = n.account_id)
        OR NOT EXISTS (
            SELECT FROM loyalty_posting p
            WHERE p.id = n.posting_id AND p.account_id = n.account_id AND p.points = n.original
                AND p.kind IN ('earn', 'bonus', 'adjust') AND p.business_date = n.earned_date
                AND p.property_id IS NOT DISTINCT FROM n.funding_property_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse(
            'a lot is what its posting brought in, and the sum of its moves', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION loyalty_check_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.posting_id INTO v_id
    FROM added n
    WHERE NOT EXISTS (
        SELECT FROM loyalty_lotmove v
        CROSS JOIN LATERAL (
            SELECT x.xmin, x.cmin FROM loyalty_posting x WHERE x.id = v.posting_id AND x.account_id = v.account_id OFFSET 0) p
        CROSS JOIN LATERAL (
            SELECT x.xmin, x.cmin FROM loyalty_lot x WHERE x.id = v.lot_id AND x.account_id = v.account_id OFFSET 0) l
        WHERE v.posting_id = n.posting_id AND v.lot_id = n.lot_id AND v.account_id = n.account_id
            AND p.xmin = v.xmin AND p.cmin = v.cmin AND l.xmin = v.xmin AND l.cmin = v.cmin OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse(
            'a move is written by the same statement as its posting and its lot', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER loyalty_lot_check_insert ON loyalty_lot;
CREATE TRIGGER loyalty_lot_check_insert AFTER INSERT ON loyalty_lot
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_new_lots();
DROP TRIGGER loyalty_account_check_insert ON loyalty_account;
CREATE TRIGGER loyalty_account_check_insert AFTER INSERT ON loyalty_account FOR EACH ROW
    WHEN (NEW.last_seq <> 0 OR NEW.available <> 0 OR NEW.pending <> 0 OR NEW.held <> 0 OR NEW.debt <> 0 OR NEW.head_hash <> '')
    EXECUTE FUNCTION loyalty_check_new_account();
CREATE TRIGGER loyalty_account_no_rewind BEFORE UPDATE ON loyalty_account
    FOR EACH ROW WHEN (NEW.last_seq < OLD.last_seq) EXECUTE FUNCTION guike_refuse_change();
