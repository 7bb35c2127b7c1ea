"""Let the walk along the newest stays read names from its index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Carry the name beside its pinyin."""

    dependencies = [("members", "0004_import_samples")]

    operations = [
        migrations.RemoveIndex(model_name="guest", name="members_guest_recent"),
        migrations.AddIndex(
            model_name="guest",
            index=models.Index(
                models.OrderBy(models.F("last_stay_date"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                include=("name", "name_pinyin"),
                name="members_guest_recent",
            ),
        ),
    ]
