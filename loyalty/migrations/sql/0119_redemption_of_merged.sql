-- What was taken for how much stays; whose it is changes only where a merge of profiles made one of two, or undid it.
CREATE OR REPLACE FUNCTION loyalty_check_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.reward_id, NEW.property_id, NEW.points, NEW.cash, NEW.currency, NEW.quantity, NEW.public_id, NEW.redeemed_at,
        NEW.for_date)
        IS DISTINCT FROM (OLD.reward_id, OLD.property_id, OLD.points, OLD.cash, OLD.currency, OLD.quantity, OLD.public_id,
        OLD.redeemed_at, OLD.for_date)
        OR (NEW.membership_id <> OLD.membership_id AND NOT EXISTS (
            SELECT FROM members_guestmerge g
            JOIN loyalty_membership a ON a.id = OLD.membership_id
            JOIN loyalty_membership b ON b.id = NEW.membership_id
            WHERE a.programme_id = b.programme_id
                AND (g.survivor_id, g.merged_id) IN ((a.guest_id, b.guest_id), (b.guest_id, a.guest_id))))
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
