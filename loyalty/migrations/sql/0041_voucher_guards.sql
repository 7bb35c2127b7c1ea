-- What the database itself promises about vouchers.
--
-- Vouchers and their history are written by one statement each (see services/vouchers), so that AFTER … FOR EACH
-- STATEMENT triggers with transition tables can demand the history at once, whether one voucher or 10,000 are written.

-- A code from 16 bytes of a random UUID (version 4): five bits of each byte but the seventh, whose upper half is the
-- version. The short constant is the alphabet; the rows of numbers are loyalty.rules.vouchers.PRODUCTS, with which the
-- check character is worked out. Plain calls only, so that the planner can put them in place of the function.
CREATE FUNCTION loyalty_voucher_code(random bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 0) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 1) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 2) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 3) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 4) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 5) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 7) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 8) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 9) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 10) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 11) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 12) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 13) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a', get_byte(random, 14) & 31)) ||
        chr(get_byte('\x3031323334353637383941424344454647484a4b4d4e5051525354565758595a',
            get_byte('\x00020406080a0c0e10121416181a1c1e050701030d0f090b151711131d1f191b', get_byte(random, 0) & 31) #
            get_byte('\x0004080c1014181c05010d0915111d190a0e02061a1e12160f0b07031f1b1713', get_byte(random, 1) & 31) #
            get_byte('\x00081018050d151d0a021a120f071f17141c040c111901091e160e061b130b03', get_byte(random, 2) & 31) #
            get_byte('\x001005150a1a0f1f140411011e0e1b0b0d1d08180717021219091c0c13031606', get_byte(random, 3) & 31) #
            get_byte('\x00050a0f14111e1b0d080702191c13161a1f10150e0b040117121d180306090c', get_byte(random, 4) & 31) #
            get_byte('\x000a141e0d0719131a100e04171d0309111b050f1c1608020b011f15060c1218', get_byte(random, 5) & 31) #
            get_byte('\x00140d191a0e170311051c080b1f061207130a1e1d09100416021b0f0c180115', get_byte(random, 7) & 31) #
            get_byte('\x000d1a17111c0b06070a1d10161b0c010e0314191f1205080904131e1815020f', get_byte(random, 8) & 31) #
            get_byte('\x001a110b071d160c0e141f05091318021c060d171b010a1012080319150f041e', get_byte(random, 9) & 31) #
            get_byte('\x001107160e1f09181c0d1b0a120315041d0c1a0b13021405011006170f1e0819', get_byte(random, 10) & 31) #
            get_byte('\x00070e091c1b12151d1a131401060f081f18111603040d0a02050c0b1e191017', get_byte(random, 11) & 31) #
            get_byte('\x000e1c121d13010f1f11030d020c1e101b15070906081a14040a18161917050b', get_byte(random, 12) & 31) #
            get_byte('\x001c1d011f03021e1b07061a04181905130f0e120c10110d08141509170b0a16', get_byte(random, 13) & 31) #
            get_byte('\x001d1f021b060419130e0c110815170a031e1c011805071a100d0f120b161409', get_byte(random, 14) & 31)))
$$;

CREATE FUNCTION loyalty_refuse_voucher(p_what text, p_table text, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'vouchers: %', p_what
        USING ERRCODE = 'integrity_constraint_violation', TABLE = p_table, DETAIL = format('%s %s', p_table, p_id);
END $$;

-- Only the ways from one state to the next; what was issued stays what it is.
CREATE FUNCTION loyalty_check_voucher_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.public_id, NEW.code, NEW.type_id, NEW.batch_id, NEW.batch_number, NEW.source, NEW.source_reference,
            NEW.issued_at, NEW.valid_from, NEW.expires_on)
        IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.code, OLD.type_id, OLD.batch_id, OLD.batch_number, OLD.source,
            OLD.source_reference, OLD.issued_at, OLD.valid_from, OLD.expires_on) THEN
        PERFORM loyalty_refuse_voucher('what was issued does not change', TG_TABLE_NAME, OLD.id);
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
            ('issued', 'redeemed'), ('issued', 'canceled'), ('issued', 'expired'), ('redeemed', 'issued')) THEN
        PERFORM loyalty_refuse_voucher(format('no way leads from %s to %s', OLD.state, NEW.state), TG_TABLE_NAME, OLD.id);
    END IF;
    IF NEW.state = OLD.state AND NEW.state = 'redeemed' AND (NEW.redemption_id, NEW.redeemed_at, NEW.redeemed_by_id,
            NEW.redeemed_property_id, NEW.amount_applied, NEW.spend, NEW.folio_reference, NEW.stay_id)
        IS DISTINCT FROM (OLD.redemption_id, OLD.redeemed_at, OLD.redeemed_by_id, OLD.redeemed_property_id,
            OLD.amount_applied, OLD.spend, OLD.folio_reference, OLD.stay_id) THEN
        PERFORM loyalty_refuse_voucher('a voucher is used once', TG_TABLE_NAME, OLD.id);
    END IF;
    -- A merge of guests moves vouchers in every state; a transfer only open ones, which the service sees to.
    RETURN NEW;
END $$;
CREATE TRIGGER loyalty_voucher_change BEFORE UPDATE ON loyalty_voucher
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_voucher_change();

-- No voucher without the entry of its issue, of another programme than its member, or beyond its batch.
CREATE FUNCTION loyalty_check_vouchers_issued() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
    v_what text;
BEGIN
    SELECT f.id, f.what INTO v_id, v_what
    FROM (SELECT n.id, CASE
            WHEN n.state <> 'issued' THEN 'a voucher begins open'
            WHEN e.id IS NULL THEN 'a voucher is issued together with its history'
            WHEN n.membership_id IS NOT NULL AND m.programme_id <> t.programme_id
                THEN 'a voucher and its member are of one programme'
            WHEN n.batch_id IS NOT NULL AND (b.type_id <> n.type_id OR b.status = 'canceled'
                OR n.batch_number > b.issued_count) THEN 'a batch issues what was ordered'
            END AS what
        FROM added n
        JOIN loyalty_vouchertype t ON t.id = n.type_id
        LEFT JOIN loyalty_membership m ON m.id = n.membership_id
        LEFT JOIN loyalty_voucherbatch b ON b.id = n.batch_id
        LEFT JOIN LATERAL (SELECT x.id FROM loyalty_voucherevent x
            WHERE x.voucher_id = n.id AND x.kind = 'issued' LIMIT 1 OFFSET 0) e ON true) f
    WHERE f.what IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse_voucher(v_what, TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER loyalty_voucher_issued AFTER INSERT ON loyalty_voucher REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_vouchers_issued();

-- Each change of state or owner is the newest entry of the history.
CREATE FUNCTION loyalty_check_vouchers_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT n.id INTO v_id
    FROM changed n JOIN former o ON o.id = n.id
    LEFT JOIN LATERAL (SELECT * FROM loyalty_voucherevent x WHERE x.voucher_id = n.id ORDER BY x.id DESC LIMIT 1) e ON true
    WHERE n.state <> o.state AND (e.kind, coalesce(e.redemption_id, n.redemption_id, o.redemption_id)) IS DISTINCT FROM (
            CASE n.state WHEN 'issued' THEN 'undone' ELSE n.state END, coalesce(n.redemption_id, o.redemption_id))
        OR n.membership_id IS DISTINCT FROM o.membership_id AND (e.kind IS DISTINCT FROM 'transferred'
            OR e.from_membership_id IS DISTINCT FROM o.membership_id OR e.membership_id IS DISTINCT FROM n.membership_id)
    LIMIT 1;
    IF FOUND THEN
        PERFORM loyalty_refuse_voucher('a change is written together with its history', TG_TABLE_NAME, v_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER loyalty_voucher_changed AFTER UPDATE ON loyalty_voucher
    REFERENCING OLD TABLE AS former NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_vouchers_changed();

-- What was issued remains; the history is never altered.
CREATE TRIGGER loyalty_voucher_kept BEFORE DELETE ON loyalty_voucher
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_voucher_no_truncate BEFORE TRUNCATE ON loyalty_voucher
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_voucherevent_append_only BEFORE UPDATE OR DELETE ON loyalty_voucherevent
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_voucherevent_no_truncate BEFORE TRUNCATE ON loyalty_voucherevent
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_voucherbatch_kept BEFORE DELETE ON loyalty_voucherbatch
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();

-- The terms are fixed with the first voucher; so is the count of what was issued, which only grows unless a batch is
-- canceled.
CREATE FUNCTION loyalty_check_vouchertype() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.issued_count > 0 AND (NEW.programme_id, NEW.code, NEW.kind, NEW.amount, NEW.percent, NEW.currency, NEW.min_spend,
            NEW.weekdays, NEW.min_tier_id, NEW.is_transferable, NEW.is_stackable, NEW.per_member_limit, NEW.valid_from,
            NEW.expires_on, NEW.valid_days, NEW.unit_cost, NEW.funding_property_id, NEW.description, NEW.description_en)
        IS DISTINCT FROM (OLD.programme_id, OLD.code, OLD.kind, OLD.amount, OLD.percent, OLD.currency, OLD.min_spend,
            OLD.weekdays, OLD.min_tier_id, OLD.is_transferable, OLD.is_stackable, OLD.per_member_limit, OLD.valid_from,
            OLD.expires_on, OLD.valid_days, OLD.unit_cost, OLD.funding_property_id, OLD.description, OLD.description_en) THEN
        PERFORM loyalty_refuse_voucher('the terms of issued vouchers are fixed', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER loyalty_vouchertype_terms BEFORE UPDATE ON loyalty_vouchertype
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_vouchertype();

-- Where and when: rows beside the type. The share lock lets a first issue in another session wait, or be waited for.
CREATE FUNCTION loyalty_check_vouchertype_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_row jsonb := to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END);
    v_type bigint := (v_row ->> TG_ARGV[0])::bigint;
    v_count bigint;
BEGIN
    SELECT issued_count INTO v_count FROM loyalty_vouchertype WHERE id = v_type FOR SHARE;
    IF v_count > 0 THEN
        PERFORM loyalty_refuse_voucher('the terms of issued vouchers are fixed', 'loyalty_vouchertype', v_type);
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER loyalty_voucherblackout_terms BEFORE INSERT OR UPDATE OR DELETE ON loyalty_voucherblackout
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_vouchertype_rows('type_id');
CREATE TRIGGER loyalty_vouchertype_properties_terms BEFORE INSERT OR UPDATE OR DELETE ON loyalty_vouchertype_properties
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_vouchertype_rows('vouchertype_id');
CREATE TRIGGER loyalty_vouchertype_brands_terms BEFORE INSERT OR UPDATE OR DELETE ON loyalty_vouchertype_brands
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_vouchertype_rows('vouchertype_id');

-- A batch is what was ordered; once issued or canceled it is closed.
CREATE FUNCTION loyalty_check_voucherbatch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.type_id, NEW.quantity, NEW.valid_from, NEW.expires_on, NEW.request_key)
        IS DISTINCT FROM (OLD.type_id, OLD.quantity, OLD.valid_from, OLD.expires_on, OLD.request_key)
        OR NEW.issued_count < OLD.issued_count
        OR OLD.status <> 'issuing' AND NEW.issued_count <> OLD.issued_count
        OR OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
            ('issuing', 'issued'), ('issuing', 'canceled'), ('issued', 'canceled')) THEN
        PERFORM loyalty_refuse_voucher('a batch is what was ordered', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER loyalty_voucherbatch_change BEFORE UPDATE ON loyalty_voucherbatch
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_voucherbatch();
