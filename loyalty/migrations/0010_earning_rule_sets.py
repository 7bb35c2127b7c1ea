"""Versions of the earning rules; the flat rules get the fields that rules of a version have."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import hotels.models.organisation
import loyalty.models.earning
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

CATEGORIES = [
    ("room", "room"),
    ("food", "food and drink"),
    ("spa", "spa"),
    ("laundry", "laundry"),
    ("transport", "transport"),
    ("shop", "shop"),
    ("other", "other"),
]


class Migration(migrations.Migration):
    """Add tables and fields; nothing is lost yet."""

    dependencies = [
        ("hotels", "0004_api_requests"),
        ("loyalty", "0007_ledger_single"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EarningRuleSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(verbose_name="version")),
                ("name", models.CharField(max_length=120, verbose_name="name")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "draft"), ("published", "published"), ("withdrawn", "withdrawn")],
                        default="draft",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("effective_from", models.DateField(blank=True, null=True, verbose_name="in force from")),
                ("note", models.TextField(blank=True, verbose_name="note")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("published_at", models.DateTimeField(blank=True, null=True, verbose_name="published at")),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="withdrawn at")),
                (
                    "based_on",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="loyalty.earningruleset",
                        verbose_name="based on",
                    ),
                ),
                (
                    "programme",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="earning_rule_sets",
                        to="loyalty.programme",
                        verbose_name="programme",
                    ),
                ),
                (
                    "published_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="published by",
                    ),
                ),
            ],
            options={
                "verbose_name": "earning rule set",
                "verbose_name_plural": "earning rule sets",
                "ordering": ["programme", "-number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["programme", "number"], name="loyalty_earningruleset_number_unique"
                    ),
                    models.UniqueConstraint(
                        fields=["programme", "effective_from"],
                        condition=models.Q(status="published"),
                        name="loyalty_earningruleset_day_unique",
                        violation_error_message="Another version begins on this date.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(status__in=["draft", "published", "withdrawn"]),
                        name="loyalty_earningruleset_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(status="draft", effective_from=None, published_at=None)
                        | models.Q(
                            status__in=["published", "withdrawn"],
                            effective_from__isnull=False,
                            published_at__isnull=False,
                        ),
                        name="loyalty_earningruleset_published_from",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(status="withdrawn", withdrawn_at__isnull=False)
                        | (~models.Q(status="withdrawn") & models.Q(withdrawn_at=None)),
                        name="loyalty_earningruleset_withdrawn_at",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="programme",
            name="activity_date",
            field=models.CharField(
                choices=[("departure", "departure"), ("arrival", "arrival"), ("booked", "booking")],
                default="departure",
                help_text="A stay is judged by the version of the earning rules in force on this date.",
                max_length=10,
                verbose_name="date of a stay that decides",
            ),
        ),
        migrations.AddField(
            model_name="programme",
            name="bonus_expiry_months",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Keeps bonus points of a stay in an entry of their own. Empty: as all points.",
                null=True,
                verbose_name="bonus points live for months",
            ),
        ),
        migrations.AddField(
            model_name="programme",
            name="profile_fields",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("gender", "gender"),
                        ("birthday", "birthday"),
                        ("nationality", "nationality"),
                        ("language", "language"),
                        ("company", "company"),
                        ("phone", "phone"),
                        ("email", "e-mail"),
                    ],
                    max_length=12,
                ),
                blank=True,
                default=list,
                help_text="What brings the points for a completed profile. Empty: nothing does.",
                size=None,
                verbose_name="a complete profile has",
            ),
        ),
        migrations.AddConstraint(
            model_name="programme",
            constraint=models.CheckConstraint(
                condition=models.Q(activity_date__in=["departure", "arrival", "booked"]),
                name="loyalty_programme_activity_known",
            ),
        ),
        migrations.RemoveConstraint(model_name="earningrule", name="loyalty_earningrule_no_overlap"),
        migrations.RemoveConstraint(model_name="earningrule", name="loyalty_earningrule_category_known"),
        migrations.RemoveConstraint(model_name="earningrule", name="loyalty_earningrule_rate_not_negative"),
        migrations.RemoveConstraint(model_name="earningrule", name="loyalty_earningrule_dates_ordered"),
        migrations.AlterModelOptions(
            name="earningrule",
            options={"verbose_name": "earning rule", "verbose_name_plural": "earning rules"},
        ),
        # What rules of a version no longer have may be missing from here on.
        migrations.AlterField(
            model_name="earningrule",
            name="programme",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="earning_rules",
                to="loyalty.programme",
                verbose_name="programme",
            ),
        ),
        migrations.AlterField(
            model_name="earningrule",
            name="effective_from",
            field=models.DateField(null=True, verbose_name="effective from"),
        ),
        migrations.AlterField(
            model_name="earningrule",
            name="category",
            field=models.CharField(
                blank=True, choices=CATEGORIES, default="", max_length=12, verbose_name="revenue category"
            ),
        ),
        migrations.RenameField(model_name="earningrule", old_name="points_per_unit", new_name="value"),
        migrations.AlterField(
            model_name="earningrule",
            name="value",
            field=models.DecimalField(
                decimal_places=4,
                max_digits=12,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
                verbose_name="value",
            ),
        ),
        migrations.AlterField(
            model_name="earningrule",
            name="name",
            field=models.CharField(max_length=120, verbose_name="name (Chinese)"),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="name_en",
            field=models.CharField(blank=True, default="", max_length=120, verbose_name="name (English)"),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="earningrule",
            name="currency",
            field=models.CharField(
                blank=True,
                help_text="Only folios in this currency, points per unit of it. Empty: every folio, converted.",
                max_length=3,
                validators=[hotels.models.organisation.currency_validator],
                verbose_name="currency",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="rule_set",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rules",
                to="loyalty.earningruleset",
                verbose_name="earning rule set",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="code",
            field=models.SlugField(
                default="rule",
                help_text="Stays the same over all versions; caps count by it.",
                max_length=40,
                verbose_name="code",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="earningrule",
            name="basis",
            field=models.CharField(
                choices=[("amount", "spend"), ("nights", "nights"), ("stays", "stays"), ("event", "event")],
                default="amount",
                max_length=8,
                verbose_name="counted on",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="event",
            field=models.CharField(
                blank=True,
                choices=[
                    ("enrolment", "enrollment"),
                    ("profile_completed", "profile completed"),
                    ("survey_answered", "survey answered"),
                    ("referral_made", "friend referred"),
                    ("referral_joined", "came by a referral"),
                    ("social_share", "approved social share"),
                    ("birthday", "birthday"),
                ],
                default="",
                max_length=20,
                verbose_name="event",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="earningrule",
            name="categories",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=CATEGORIES, max_length=12),
                blank=True,
                default=list,
                help_text="Empty: all of them.",
                size=None,
                verbose_name="revenue categories",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="condition",
            field=models.JSONField(blank=True, default=loyalty.models.earning.match_all, verbose_name="condition"),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="charges_from",
            field=models.DateField(blank=True, null=True, verbose_name="charges from"),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="charges_until",
            field=models.DateField(blank=True, null=True, verbose_name="charges until (not included)"),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="charge_weekdays",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveSmallIntegerField(
                    validators=[
                        django.core.validators.MinValueValidator(1),
                        django.core.validators.MaxValueValidator(7),
                    ]
                ),
                blank=True,
                default=list,
                help_text="Of the charge or the night. Empty: all of them.",
                size=None,
                verbose_name="days of the week",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="result",
            field=models.CharField(
                choices=[
                    ("rate", "points per unit"),
                    ("multiplier", "multiple of the base points"),
                    ("fixed", "fixed points"),
                ],
                default="rate",
                max_length=10,
                verbose_name="gives",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="is_base",
            field=models.BooleanField(
                default=False, help_text="Multiples are taken of these points.", verbose_name="base points"
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="is_qualifying",
            field=models.BooleanField(
                default=False,
                help_text="Its points count where a tier asks for points.",
                verbose_name="counts towards tiers",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="priority",
            field=models.SmallIntegerField(
                default=0, help_text="The highest comes first.", verbose_name="priority"
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="stacking",
            field=models.CharField(
                choices=[
                    ("add", "adds to others"),
                    ("best_of", "the best of its group counts"),
                    ("exclusive", "the first of its group counts"),
                ],
                default="add",
                max_length=10,
                verbose_name="together with others",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="group",
            field=models.SlugField(blank=True, default="", max_length=40, verbose_name="group"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="earningrule",
            name="stops",
            field=models.BooleanField(
                default=False,
                help_text="No rule of lower priority applies to what this one covers.",
                verbose_name="stops",
            ),
        ),
        *[
            migrations.AddField(
                model_name="earningrule",
                name=name,
                field=field(blank=True, null=True, verbose_name=label),
            )
            for name, field, label in [
                ("cap_stay", models.PositiveIntegerField, "points per stay at most"),
                ("cap_day", models.PositiveIntegerField, "points per member and day at most"),
                ("cap_month", models.PositiveIntegerField, "points per member and month at most"),
                ("cap_member", models.PositiveIntegerField, "points per member at most, ever"),
                ("budget_points", models.PositiveBigIntegerField, "budget in points"),
            ]
        ],
        migrations.AddField(
            model_name="earningrule",
            name="budget_money",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                max_digits=14,
                null=True,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
                verbose_name="budget in money",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="point_cost",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Empty: the programme's value of a point.",
                max_digits=10,
                null=True,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
                verbose_name="cost of a point",
            ),
        ),
        migrations.AddField(
            model_name="earningrule",
            name="funded_by",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: the property of the stay.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="hotels.property",
                verbose_name="paid for by",
            ),
        ),
    ]
