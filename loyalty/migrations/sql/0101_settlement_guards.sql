-- What the database itself promises about settlements: a closed month never changes, what was settled stays settled.

CREATE FUNCTION loyalty_check_settlementrun() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Who closed it may leave the house; nothing else changes.
    IF OLD.closed_at IS NOT NULL AND (NEW.id, NEW.programme_id, NEW.start_date, NEW.end_date, NEW.currency,
            NEW.created_at, NEW.closed_at, coalesce(NEW.closed_by_id, OLD.closed_by_id))
        IS DISTINCT FROM (OLD.id, OLD.programme_id, OLD.start_date, OLD.end_date, OLD.currency,
            OLD.created_at, OLD.closed_at, OLD.closed_by_id) THEN
        RAISE EXCEPTION 'settlements: the month % is closed', to_char(OLD.start_date, 'YYYY-MM')
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

-- Whoever adds to a settlement holds its row, so that it is not closed meanwhile.
CREATE FUNCTION loyalty_check_settlementrows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_closed date;
BEGIN
    SELECT r.start_date INTO v_closed
    FROM loyalty_settlementrun r
    WHERE r.id IN (SELECT n.run_id FROM added n) AND r.closed_at IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'settlements: the month % is closed', to_char(v_closed, 'YYYY-MM')
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER loyalty_settlementrun_closed BEFORE UPDATE ON loyalty_settlementrun
    FOR EACH ROW EXECUTE FUNCTION loyalty_check_settlementrun();
CREATE TRIGGER loyalty_settlementrun_kept BEFORE DELETE ON loyalty_settlementrun
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_settlementrun_no_truncate BEFORE TRUNCATE ON loyalty_settlementrun
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_settlementitem_open AFTER INSERT ON loyalty_settlementitem REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_settlementrows();
CREATE TRIGGER loyalty_settlementitem_append_only BEFORE UPDATE OR DELETE ON loyalty_settlementitem
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_settlementitem_no_truncate BEFORE TRUNCATE ON loyalty_settlementitem
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_settlementline_open AFTER INSERT ON loyalty_settlementline REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION loyalty_check_settlementrows();
CREATE TRIGGER loyalty_settlementline_append_only BEFORE UPDATE OR DELETE ON loyalty_settlementline
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_settlementline_no_truncate BEFORE TRUNCATE ON loyalty_settlementline
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();

CREATE TRIGGER loyalty_settlementrate_append_only BEFORE UPDATE OR DELETE ON loyalty_settlementrate
    FOR EACH ROW EXECUTE FUNCTION guike_refuse_change();
CREATE TRIGGER loyalty_settlementrate_no_truncate BEFORE TRUNCATE ON loyalty_settlementrate
    FOR EACH STATEMENT EXECUTE FUNCTION guike_refuse_change();
