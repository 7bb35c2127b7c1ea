from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("members", "0007_known_choices")]

    operations = [
        migrations.AddField(
            model_name=model,
            name="is_group",
            field=models.BooleanField(db_default=False, default=False, verbose_name="group booking"),
        )
        for model in ("reservation", "stay")
    ]
