import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Keep the answers of requests with an idempotency key."""

    dependencies = [
        ("hotels", "0003_second_factor_required"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=120, verbose_name="idempotency key")),
                ("operation", models.CharField(max_length=200, verbose_name="operation")),
                ("request_hash", models.BinaryField(max_length=32)),
                ("status", models.PositiveSmallIntegerField(default=0, verbose_name="status")),
                ("body", models.JSONField(null=True, verbose_name="answer")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="client",
                    ),
                ),
            ],
            options={
                "verbose_name": "API request",
                "verbose_name_plural": "API requests",
                "indexes": [models.Index(fields=["created_at"], name="hotels_apirequest_age")],
                "constraints": [models.UniqueConstraint(fields=("user", "key"), name="hotels_apirequest_key_unique")],
            },
        ),
    ]
