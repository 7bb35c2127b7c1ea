"""Every ticket belongs to a case; closed ones say why it happened, as far as it was asked."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Each ticket so far was a matter of its own.
FILL = """
ALTER TABLE feedback_case ADD COLUMN ticket_id bigint;
INSERT INTO feedback_case (public_id, guest_id, property_id, owner_id, opened_at, ticket_id)
    SELECT gen_random_uuid(), guest_id, property_id, assignee_id, opened_at, id FROM feedback_ticket;
UPDATE feedback_ticket SET case_id = c.id FROM feedback_case c WHERE c.ticket_id = feedback_ticket.id;
ALTER TABLE feedback_case DROP COLUMN ticket_id;
UPDATE feedback_ticket SET root_cause = 'unknown' WHERE status = 'closed';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0002_known_choices"),
        ("members", "0007_known_choices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Case",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("opened_at", models.DateTimeField(verbose_name="opened at")),
                (
                    "guest",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cases",
                        to="members.guest",
                        verbose_name="guest",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="speaks to the guest",
                    ),
                ),
                (
                    "property",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cases",
                        to="hotels.property",
                        verbose_name="property",
                    ),
                ),
            ],
            options={
                "verbose_name": "case",
                "verbose_name_plural": "cases",
                "indexes": [models.Index(fields=["guest", "-id"], name="feedback_case_guest")],
            },
        ),
        migrations.AddField(
            model_name="ticket",
            name="case",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tickets",
                to="feedback.case",
                verbose_name="case",
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="root_cause",
            field=models.CharField(
                blank=True,
                choices=[
                    ("equipment", "equipment or building"),
                    ("cleaning", "cleaning"),
                    ("staff", "attention or training of staff"),
                    ("staffing", "too few staff"),
                    ("process", "procedure or system"),
                    ("supplier", "supplier or partner"),
                    ("information", "wrong or missing information"),
                    ("other_guests", "other guests"),
                    ("outside", "outside the house"),
                    ("none", "no fault found"),
                    ("unknown", "not recorded"),
                ],
                db_default="",
                max_length=12,
                verbose_name="root cause",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="ticket",
            name="case",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tickets",
                to="feedback.case",
                verbose_name="case",
            ),
        ),
    ]
