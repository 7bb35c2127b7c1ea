-- Stored value in the ledger: the classes of its lots, and what happened at the desk is never rewritten.

-- As in 0008, with two classes more.
CREATE OR REPLACE FUNCTION loyalty_lot_sound(lot_class text, state text, original bigint, remaining bigint, release_on date)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN original > 0 AND remaining <= original
        AND lot_class IN ('earned', 'bonus', 'purchased', 'compensation', 'principal', 'gift')
        AND CASE
            WHEN state = 'open' THEN remaining > 0
            WHEN state = 'pending' THEN remaining > 0 AND release_on IS NOT NULL
            WHEN state IN ('spent', 'expired', 'voided') THEN remaining = 0
            ELSE false END;
END $$;

-- A movement is undone once; nothing else of it changes.
CREATE TRIGGER loyalty_storedvaluemovement_kept BEFORE UPDATE ON loyalty_storedvaluemovement
    FOR EACH ROW WHEN (
        OLD.undone_at IS NOT NULL OR NEW.undone_at IS NULL
        OR (OLD.id, OLD.public_id, OLD.membership_id, OLD.property_id, OLD.policy_id, OLD.kind, OLD.currency,
            OLD.principal, OLD.gift, OLD.method, OLD.reference, OLD.top_up_id, OLD.made_at, OLD.actor_id, OLD.reason)
        IS DISTINCT FROM
           (NEW.id, NEW.public_id, NEW.membership_id, NEW.property_id, NEW.policy_id, NEW.kind, NEW.currency,
            NEW.principal, NEW.gift, NEW.method, NEW.reference, NEW.top_up_id, NEW.made_at, NEW.actor_id, NEW.reason))
    EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_storedvaluemovement_stays BEFORE DELETE ON loyalty_storedvaluemovement
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_storedvaluemovement_no_truncate BEFORE TRUNCATE ON loyalty_storedvaluemovement
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
