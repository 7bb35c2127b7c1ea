"""How codes are made, and what the database refuses about vouchers: see `sql/0041_voucher_guards.sql`."""

from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0041_voucher_guards.sql").read_text(encoding="utf-8")

# Going back leaves vouchers without guards only until the tables go as well, so they must be empty.
DROP = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM loyalty_voucher) THEN
        RAISE EXCEPTION 'vouchers were issued: their tables are not taken down';
    END IF;
END $$;
DROP TRIGGER loyalty_voucherbatch_change ON loyalty_voucherbatch;
DROP TRIGGER loyalty_vouchertype_brands_terms ON loyalty_vouchertype_brands;
DROP TRIGGER loyalty_vouchertype_properties_terms ON loyalty_vouchertype_properties;
DROP TRIGGER loyalty_voucherblackout_terms ON loyalty_voucherblackout;
DROP TRIGGER loyalty_vouchertype_terms ON loyalty_vouchertype;
DROP TRIGGER loyalty_voucherbatch_kept ON loyalty_voucherbatch;
DROP TRIGGER loyalty_voucherevent_no_truncate ON loyalty_voucherevent;
DROP TRIGGER loyalty_voucherevent_append_only ON loyalty_voucherevent;
DROP TRIGGER loyalty_voucher_no_truncate ON loyalty_voucher;
DROP TRIGGER loyalty_voucher_kept ON loyalty_voucher;
DROP TRIGGER loyalty_voucher_changed ON loyalty_voucher;
DROP TRIGGER loyalty_voucher_issued ON loyalty_voucher;
DROP TRIGGER loyalty_voucher_change ON loyalty_voucher;
DROP FUNCTION loyalty_check_voucherbatch;
DROP FUNCTION loyalty_check_vouchertype_rows;
DROP FUNCTION loyalty_check_vouchertype;
DROP FUNCTION loyalty_check_vouchers_changed;
DROP FUNCTION loyalty_check_vouchers_issued;
DROP FUNCTION loyalty_check_voucher_change;
DROP FUNCTION loyalty_refuse_voucher;
DROP FUNCTION loyalty_voucher_code;
"""


class Migration(migrations.Migration):
    """Install the function and the triggers."""

    dependencies = [("loyalty", "0040_vouchers"), ("hotels", "0002_append_only")]

    operations = [migrations.RunSQL(SQL, DROP)]
