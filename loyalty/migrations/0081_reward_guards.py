"""Taking a reward in one call, and what the database refuses about redemptions: see `sql/0081_rewards.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0081_rewards.sql").read_text(encoding="utf-8")

# Until now a redemption was handed out where it was made, on that day.
HANDED_OUT = """
UPDATE loyalty_redemption t SET for_date = (t.redeemed_at AT TIME ZONE p.time_zone)::date,
    status = CASE WHEN t.status = 'redeemed' THEN 'fulfilled' ELSE t.status END,
    fulfilled_at = CASE WHEN t.status = 'redeemed' THEN t.redeemed_at END
FROM hotels_property p WHERE p.id = t.property_id;
"""
REDEEMED = "UPDATE loyalty_redemption SET status = 'redeemed' WHERE status NOT IN ('redeemed', 'canceled');"

DROP = """
DROP FUNCTION loyalty_give_back_reward;
DROP FUNCTION loyalty_take_reward;
DROP TRIGGER loyalty_redemptionevent_no_truncate ON loyalty_redemptionevent;
DROP TRIGGER loyalty_redemptionevent_append_only ON loyalty_redemptionevent;
DROP TRIGGER loyalty_redemption_kept ON loyalty_redemption;
DROP TRIGGER loyalty_redemption_change ON loyalty_redemption;
DROP FUNCTION loyalty_check_redemption;
"""


class Migration(migrations.Migration):
    """Bring old redemptions into a state, then install the functions and triggers."""

    dependencies = [("loyalty", "0080_rewards"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(HANDED_OUT, REDEEMED), migrations.RunSQL(SQL, DROP)]
