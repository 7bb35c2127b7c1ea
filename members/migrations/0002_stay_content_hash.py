"""Keep what a source sent first about a stay, to tell a repeat from a contradiction."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the hash."""

    dependencies = [("members", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="stay",
            name="content_hash",
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
    ]
