-- Taking a reward, and what the database refuses about redemptions.

-- Which ways lead from one state to another.
CREATE FUNCTION loyalty_check_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.membership_id, NEW.reward_id, NEW.property_id, NEW.points, NEW.cash, NEW.currency, NEW.quantity,
        NEW.public_id, NEW.redeemed_at, NEW.for_date)
        IS DISTINCT FROM (OLD.membership_id, OLD.reward_id, OLD.property_id, OLD.points, OLD.cash, OLD.currency,
        OLD.quantity, OLD.public_id, OLD.redeemed_at, OLD.for_date)
    THEN
        RAISE EXCEPTION 'redemption %: what was taken for how much stays', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'loyalty_redemption_kept';
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('redeemed', 'fulfilled'), ('redeemed', 'canceled'), ('redeemed', 'expired'), ('redeemed', 'no_show'),
        ('fulfilled', 'redeemed'), ('fulfilled', 'canceled'), ('expired', 'canceled'), ('no_show', 'canceled'),
        ('no_show', 'redeemed'))
    THEN
        RAISE EXCEPTION 'redemption %: % does not become %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'loyalty_redemption_ways';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER loyalty_redemption_change BEFORE UPDATE ON loyalty_redemption
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_redemption();
CREATE TRIGGER loyalty_redemption_kept BEFORE DELETE ON loyalty_redemption
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_redemptionevent_append_only BEFORE UPDATE OR DELETE ON loyalty_redemptionevent
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_redemptionevent_no_truncate BEFORE TRUNCATE ON loyalty_redemptionevent
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

-- Points, stock, limits, the redemption and its first entry in one call: all of it or nothing.
--
-- The account is locked first, as by every posting, then stock by id, then the counters of limits in the order given,
-- which is the same for everybody who takes the same reward. A refusal of the ledger comes back as a row; a stock or a
-- limit that somebody else has used up meanwhile is raised, so that the posting goes with it.
CREATE FUNCTION loyalty_take_reward(p jsonb)
RETURNS TABLE (redemption_id bigint, error text, details jsonb, replayed boolean)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    r loyalty_result;
    x record;
    v_id bigint;
    v_count integer := (p ->> 'quantity')::integer;
    v_reward bigint := (p ->> 'reward_id')::bigint;
    v_place bigint := (p ->> 'property_id')::bigint;
    v_stock bigint[] := '{}';
    v_uses bigint[] := '{}';
BEGIN
    SELECT * INTO r FROM loyalty_post_movements(jsonb_build_array(p -> 'movement'), false);
    IF r.error = 'replayed' THEN
        RETURN QUERY SELECT t.id, NULL::text, NULL::jsonb, true
            FROM loyalty_redemption t WHERE t.public_id = (p ->> 'public_id')::uuid;
        RETURN;
    ELSIF r.error IS NOT NULL THEN
        RETURN QUERY SELECT NULL::bigint, r.error, r.details, false;
        RETURN;
    END IF;
    FOR x IN
        SELECT s.id, s.total - s.taken AS rest FROM loyalty_rewardstock s
        WHERE s.reward_id = v_reward AND (s.property_id IS NULL OR s.property_id = v_place)
        ORDER BY s.id FOR NO KEY UPDATE
    LOOP
        IF x.rest < v_count THEN
            RAISE EXCEPTION 'reward % is sold out', v_reward USING ERRCODE = 'GK002', DETAIL = jsonb_build_object(
                'code', CASE WHEN x.rest > 0 THEN 'too_few_left' ELSE 'sold_out' END, 'left', x.rest)::text;
        END IF;
        UPDATE loyalty_rewardstock s SET taken = s.taken + v_count WHERE s.id = x.id;
        v_stock := v_stock || x.id;
    END LOOP;
    FOR x IN
        SELECT * FROM jsonb_to_recordset(p -> 'limits') AS l (
            scope text, property_id bigint, membership_id bigint, period text, period_start date, maximum integer)
    LOOP
        v_id := NULL;
        IF v_count <= x.maximum THEN
            INSERT INTO loyalty_rewarduse AS u (
                reward_id, scope, property_id, membership_id, period, period_start, used, maximum)
            VALUES (v_reward, x.scope, x.property_id, x.membership_id, x.period, x.period_start, v_count, x.maximum)
            ON CONFLICT (reward_id, scope, property_id, membership_id, period, period_start) DO UPDATE
                SET used = u.used + excluded.used, maximum = excluded.maximum
                WHERE u.used + excluded.used <= excluded.maximum
            RETURNING u.id INTO v_id;
        END IF;
        IF v_id IS NULL THEN
            RAISE EXCEPTION 'limit of reward % is reached', v_reward USING ERRCODE = 'GK002',
                DETAIL = jsonb_build_object('code', 'limit_' || x.scope, 'maximum', x.maximum, 'left', greatest(0,
                    x.maximum - coalesce((SELECT u.used FROM loyalty_rewarduse u
                        WHERE u.reward_id = v_reward AND u.scope = x.scope AND u.period = x.period
                            AND u.property_id IS NOT DISTINCT FROM x.property_id
                            AND u.membership_id IS NOT DISTINCT FROM x.membership_id
                            AND u.period_start IS NOT DISTINCT FROM x.period_start), 0)))::text;
        END IF;
        v_uses := v_uses || v_id;
    END LOOP;
    INSERT INTO loyalty_redemption (
        public_id, membership_id, reward_id, property_id, quantity, points, cash, currency, for_date, status,
        redeemed_at, fulfilled_at, actor_id, note, stock_ids, use_ids)
    VALUES (
        (p ->> 'public_id')::uuid, (p ->> 'membership_id')::bigint, v_reward, v_place, v_count,
        (p -> 'movement' ->> 'points')::integer, (p ->> 'cash')::numeric, p ->> 'currency', (p ->> 'for_date')::date,
        p ->> 'status', (p ->> 'at')::timestamptz,
        CASE WHEN p ->> 'status' = 'fulfilled' THEN (p ->> 'at')::timestamptz END,
        (p ->> 'actor_id')::bigint, p ->> 'note', v_stock, v_uses)
    RETURNING id INTO v_id;
    INSERT INTO loyalty_redemptionevent (redemption_id, kind, at, actor_id, reason)
    VALUES (v_id, 'redeemed', (p ->> 'at')::timestamptz, (p ->> 'actor_id')::bigint, p ->> 'note');
    IF p ->> 'status' = 'fulfilled' THEN
        INSERT INTO loyalty_redemptionevent (redemption_id, kind, at, actor_id, reason)
        VALUES (v_id, 'fulfilled', (p ->> 'at')::timestamptz, (p ->> 'actor_id')::bigint, '');
    END IF;
    RETURN QUERY SELECT v_id, NULL::text, NULL::jsonb, false;
END $$;

-- What a canceled redemption took from stock and limits goes back; counters gone meanwhile are let be.
CREATE FUNCTION loyalty_give_back_reward(p_stock bigint[], p_uses bigint[], p_count integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM loyalty_rewardstock s WHERE s.id = ANY (p_stock) ORDER BY s.id FOR NO KEY UPDATE;
    UPDATE loyalty_rewardstock s SET taken = s.taken - p_count WHERE s.id = ANY (p_stock);
    -- In the order in which they were taken.
    PERFORM 1 FROM loyalty_rewarduse u JOIN unnest(p_uses) WITH ORDINALITY AS o (id, n) ON o.id = u.id
        ORDER BY o.n FOR NO KEY UPDATE OF u;
    UPDATE loyalty_rewarduse u SET used = u.used - p_count WHERE u.id = ANY (p_uses);
END $$;
