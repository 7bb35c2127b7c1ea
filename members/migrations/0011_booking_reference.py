"""What the rooms of one booking have in common."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("members", "0010_import_undo")]

    operations = [
        migrations.AddField(
            model_name="stay",
            name="booking_reference",
            field=models.CharField(blank=True, db_default="", max_length=80, verbose_name="booking"),
        ),
        AddIndexConcurrently(
            model_name="stay",
            index=models.Index(
                condition=models.Q(("booking_reference", ""), _negated=True),
                fields=["guest", "booking_reference"],
                name="members_stay_booking",
            ),
        ),
    ]
