"""The columns that trees and policies replace."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0021_tier_conditions")]

    operations = [
        migrations.RemoveField(model_name="tiercriteria", name="min_amount"),
        migrations.RemoveField(model_name="tiercriteria", name="min_nights"),
        migrations.RemoveField(model_name="tiercriteria", name="min_stays"),
        migrations.RemoveField(model_name="programme", name="qualification_months"),
        migrations.AlterField(
            model_name="tiercriteria",
            name="conditions",
            field=models.JSONField(verbose_name="reached by"),
        ),
    ]
