import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """An import can be paused, and the columns of a source are remembered."""

    dependencies = [("members", "0020_import_keys")]

    operations = [
        migrations.CreateModel(
            name="ImportSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, unique=True, verbose_name="name")),
                ("columns", models.JSONField(default=dict, verbose_name="columns")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "source of imports",
                "verbose_name_plural": "sources of imports",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="members_importsource_named"
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="importbatch",
            name="source",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="batches",
                to="members.importsource",
                verbose_name="source",
            ),
        ),
        migrations.AddField(
            model_name="importbatch",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="paused at"),
        ),
    ]
