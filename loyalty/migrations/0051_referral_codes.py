"""Give those who are members already their referral codes."""

import secrets

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from loyalty.rules.referrals import make_code

BATCH = 5000


def give_codes(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """In batches by id, each a statement; a code that is taken is drawn again."""
    codes = apps.get_model("loyalty", "ReferralCode")
    without = apps.get_model("loyalty", "Membership").objects.filter(referral_code=None).order_by("pk")
    while ids := list(without.values_list("pk", flat=True)[:BATCH]):
        codes.objects.bulk_create(
            [codes(membership_id=pk, code=make_code(secrets.choice)) for pk in ids], ignore_conflicts=True
        )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("loyalty", "0050_referrals_and_shares")]

    operations = [migrations.RunPython(give_codes, migrations.RunPython.noop)]
