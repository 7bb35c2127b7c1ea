-- What is published stays as it was published: stays of its dates are judged by it even when they are
-- posted late. The services refuse it first, with a message; this is the last line.

CREATE FUNCTION loyalty_guard_rule_set() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_zone text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'a version of the earning rules begins as a draft' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.status = 'draft' THEN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.programme_id <> OLD.programme_id OR NEW.number <> OLD.number OR NEW.status = 'withdrawn' THEN
                RAISE EXCEPTION 'a draft keeps its programme and number, and is discarded, not withdrawn'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END IF;
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'published' AND NEW.status = 'withdrawn' AND NEW.withdrawn_at IS NOT NULL
        AND to_jsonb(NEW) - '{status,withdrawn_at}'::text[] = to_jsonb(OLD) - '{status,withdrawn_at}'::text[]
    THEN
        SELECT p.time_zone INTO v_zone FROM loyalty_programme p WHERE p.id = OLD.programme_id;
        IF (NEW.withdrawn_at AT TIME ZONE v_zone)::date < OLD.effective_from THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'version % of the earning rules is published and stays as it is', OLD.number
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER loyalty_earningruleset_stays BEFORE INSERT OR UPDATE OR DELETE ON loyalty_earningruleset
    FOR EACH ROW EXECUTE FUNCTION loyalty_guard_rule_set();

-- The set is locked against publishing while one of its rules is written, so that what is checked when
-- it is published is what is published.
CREATE FUNCTION loyalty_guard_rule() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_status text;
    v_set bigint;
BEGIN
    FOREACH v_set IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.rule_set_id]
        WHEN 'DELETE' THEN ARRAY[OLD.rule_set_id]
        ELSE ARRAY[OLD.rule_set_id, NEW.rule_set_id] END
    LOOP
        SELECT s.status INTO v_status FROM loyalty_earningruleset s WHERE s.id = v_set FOR SHARE;
        IF v_status <> 'draft' THEN
            RAISE EXCEPTION 'the rules of a published version stay as they are' USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER loyalty_earningrule_stays BEFORE INSERT OR UPDATE OR DELETE ON loyalty_earningrule
    FOR EACH ROW EXECUTE FUNCTION loyalty_guard_rule();
