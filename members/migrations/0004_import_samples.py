"""Show some cells of each column while an import's columns are chosen."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the samples."""

    dependencies = [("members", "0003_search")]

    operations = [
        migrations.AddField(
            model_name="importbatch",
            name="samples",
            field=models.JSONField(default=list, verbose_name="samples"),
        ),
    ]
