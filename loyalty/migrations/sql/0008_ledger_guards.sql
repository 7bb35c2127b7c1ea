-- The guards of 0004 again, with the same promises at a third of the cost of a single movement.
--
-- Most of a guard's time went into starting it, not into running it: a CHECK is read from its text for every
-- statement, and each table a query joins costs about as much to open as its one row costs to find. So the
-- CHECKs are functions (compiled once a connection), a guard opens only what it compares, no row is compared
-- by two guards, and the questions about holds and reversals are asked only where there are any.
--
-- Who compares what, always at the end of the statement and for every row it wrote:
--   account   the balances of its last posting, which no other follows
--   posting   account, the posting before, hash, moves, keys, hold, what it reverses
--   lot       the sum of its moves; a new one: what its posting brought in, once (a unique key)
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

CREATE OR REPLACE FUNCTION loyalty_check_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n
    WHERE CASE WHEN n.last_seq = 0
            THEN (n.available, n.pending, n.held, n.debt) <> (0, 0, 0, 0) OR n.head_hash <> ''
            ELSE NOT EXISTS (
                SELECT FROM loyalty_posting p
                WHERE p.account_id = n.id AND p.seq = n.last_seq AND p.available_after = n.available
                    AND p.pending_after = n.pending AND p.held_after = n.held AND p.debt_after = n.debt
                    AND p.hash = n.head_hash OFFSET 0)
            END
        OR EXISTS (SELECT FROM loyalty_posting p WHERE p.account_id = n.id AND p.seq > n.last_seq OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse('the balances of an account are those of its last posting', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION loyalty_check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
    v_what text;
BEGIN
    SELECT f.id, f.what INTO v_id, v_what
    FROM (
        SELECT n.id, CASE
            WHEN n.last_seq IS NULL OR n.seq > n.last_seq
                THEN 'an account is changed by the same statement as its postings'
            WHEN n.seq > 1 AND n.hash_before IS NULL THEN 'the postings of an account follow each other without a gap'
            WHEN n.previous_hash <> coalesce(n.hash_before, ''::bytea) OR n.hash <> n.content_hash
                THEN 'a posting carries the hash of its content and of the posting before it'
            WHEN CASE WHEN n.kind IN ('release', 'hold', 'void') THEN n.available - n.debt
                      ELSE n.available + n.pending + n.held - n.debt END <> n.points
                THEN 'balances continue those of the posting before'
            WHEN CASE n.kind
                    WHEN 'release' THEN n.pending <> -n.points OR n.held <> 0
                    WHEN 'hold' THEN n.held <> -n.points OR n.pending <> 0 OR n.debt <> 0
                    WHEN 'void' THEN n.held > -n.points OR n.held = 0 OR n.pending <> 0
                    WHEN 'redeem' THEN n.pending <> 0 OR n.held > 0 OR (n.held <> 0) <> (n.hold_id IS NOT NULL)
                    WHEN 'clawback' THEN n.held <> 0 OR n.available > 0 OR n.pending > 0 OR n.debt < 0
                    WHEN 'expire' THEN n.pending <> 0 OR n.held <> 0 OR n.debt <> 0
                    ELSE n.held <> 0 OR (n.points > 0 AND (n.debt > 0 OR n.available < 0 OR n.pending < 0))
                END THEN 'each kind of posting changes only the balances it is about'
            WHEN NOT (
                SELECT coalesce(sum(v.open_delta), 0) = n.available AND coalesce(sum(v.pending_delta), 0) = n.pending
                FROM loyalty_lotmove v WHERE v.posting_id = n.id AND v.account_id = n.account_id)
                THEN 'the moves of a posting add up to it'
            WHEN n.source_reference <> '' AND NOT EXISTS (
                SELECT FROM loyalty_sourcekey k
                WHERE k.programme_id = n.programme_id AND k.system = n.source_system AND k.reference = n.source_reference
                    AND k.line = n.source_line AND k.kind = n.kind AND k.posting_id = n.id AND k.account_id = n.account_id
                OFFSET 0)
                THEN 'a source line is credited once, to one account'
            WHEN n.request_key <> '' AND NOT EXISTS (
                SELECT FROM loyalty_requestkey k
                WHERE k.programme_id = n.programme_id AND k.client = n.request_client AND k.key = n.request_key
                    AND k.posting_id = n.id OFFSET 0)
                THEN 'a request key leads to one posting'
            WHEN n.held <> 0 AND n.hold_id IS NULL THEN 'held points belong to a hold'
        END AS what
        FROM (
            SELECT n.id, n.account_id, n.seq, n.kind, n.points, n.hold_id, n.source_system, n.source_reference,
                n.source_line, n.request_client, n.request_key, n.previous_hash, n.hash,
                a.programme_id, a.last_seq, b.hash AS hash_before,
                n.available_after - coalesce(b.available_after, 0) AS available,
                n.pending_after - coalesce(b.pending_after, 0) AS pending,
                n.held_after - coalesce(b.held_after, 0) AS held,
                n.debt_after - coalesce(b.debt_after, 0) AS debt,
                loyalty_posting_hash(
                    n.previous_hash, n.id, n.account_id, n.seq, n.kind, n.points, n.available_after, n.pending_after,
                    n.held_after, n.debt_after, n.reverses_id, n.reversed_points, n.hold_id, n.source_system,
                    n.source_reference, n.source_line, n.request_client, n.request_key, n.request_hash, n.rule_version,
                    n.explanation, n.occurred_at, n.business_date, n.property_id, n.actor_id, n.reason) AS content_hash
            FROM added n
            LEFT JOIN LATERAL (
                SELECT x.programme_id, x.last_seq FROM loyalty_account x WHERE x.id = n.account_id OFFSET 0) a ON true
            LEFT JOIN LATERAL (
                SELECT x.hash, x.available_after, x.pending_after, x.held_after, x.debt_after
                FROM loyalty_posting x WHERE x.account_id = n.account_id AND x.seq = n.seq - 1 OFFSET 0) b ON true
            OFFSET 0
        ) n OFFSET 0
    ) f WHERE f.what IS NOT NULL LIMIT 1;
    IF NOT FOUND AND EXISTS (SELECT FROM added n WHERE n.hold_id IS NOT NULL OR n.reverses_id IS NOT NULL) THEN
        SELECT f.id, f.what INTO v_id, v_what
        FROM (
            SELECT n.id, CASE
                WHEN n.hold_id IS NOT NULL AND n.held <> 0 AND NOT EXISTS (
                    SELECT FROM loyalty_hold h
                    WHERE h.id = n.hold_id AND h.account_id = n.account_id AND h.points = abs(n.held)
                        AND CASE WHEN n.held > 0 THEN h.placed_posting_id ELSE h.closed_posting_id END = n.id OFFSET 0)
                    THEN 'held points belong to a hold'
                WHEN n.reverses_id IS NOT NULL AND NOT EXISTS (
                    SELECT FROM loyalty_posting o
                    WHERE o.id = n.reverses_id AND o.account_id = n.account_id AND o.seq < n.seq
                        AND o.kind IN ('earn', 'bonus', 'adjust', 'redeem', 'expire')
                        AND CASE WHEN o.points > 0 THEN n.kind = 'clawback' ELSE n.kind = 'refund' END
                        AND abs(n.points) <= n.reversed_points
                        AND abs(o.points) >= (
                            SELECT sum(r.reversed_points) FROM loyalty_posting r
                            WHERE r.reverses_id = o.id AND r.reverses_id IS NOT NULL) OFFSET 0)
                    THEN 'no more is reversed than was posted'
            END AS what
            FROM (
                SELECT n.id, n.account_id, n.seq, n.kind, n.points, n.hold_id, n.reverses_id, n.reversed_points,
                    n.held_after - coalesce((
                        SELECT x.held_after FROM loyalty_posting x
                        WHERE x.account_id = n.account_id AND x.seq = n.seq - 1), 0) AS held
                FROM added n WHERE n.hold_id IS NOT NULL OR n.reverses_id IS NOT NULL OFFSET 0
            ) n OFFSET 0
        ) f WHERE f.what IS NOT NULL LIMIT 1;
    END IF;
    IF v_what IS NOT NULL THEN
        PERFORM loyalty_refuse(v_what, TG_TABLE_NAME, v_id);
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
    IF TG_OP = 'INSERT' THEN
        SELECT n.id INTO v_id
        FROM changed n
        WHERE NOT EXISTS (
            SELECT FROM loyalty_posting p
            WHERE p.id = n.posting_id AND p.account_id = n.account_id AND p.points = n.original
                AND p.kind IN ('earn', 'bonus', 'adjust') AND p.business_date = n.earned_date
                AND p.property_id IS NOT DISTINCT FROM n.funding_property_id OFFSET 0)
        LIMIT 1;
        IF FOUND THEN
            PERFORM loyalty_refuse('a lot is what its posting brought in', TG_TABLE_NAME, v_id);
        END IF;
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
