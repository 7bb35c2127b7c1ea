"""Rules belong to a version; what the flat rules had instead goes. Counters of caps begin."""

import django.db.models.deletion
from django.db import migrations, models

CATEGORIES = ["room", "food", "spa", "laundry", "transport", "shop", "other"]
EVENTS = [
    "enrolment",
    "profile_completed",
    "survey_answered",
    "referral_made",
    "referral_joined",
    "social_share",
    "birthday",
]


class Migration(migrations.Migration):
    """Finish the shape of the tables."""

    dependencies = [("loyalty", "0011_flat_rules_into_sets")]

    operations = [
        migrations.RemoveField(model_name="earningrule", name="programme"),
        migrations.RemoveField(model_name="earningrule", name="tier"),
        migrations.RemoveField(model_name="earningrule", name="property"),
        migrations.RemoveField(model_name="earningrule", name="category"),
        migrations.RemoveField(model_name="earningrule", name="effective_from"),
        migrations.RemoveField(model_name="earningrule", name="effective_until"),
        migrations.AlterField(
            model_name="earningrule",
            name="rule_set",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rules",
                to="loyalty.earningruleset",
                verbose_name="earning rule set",
            ),
        ),
        migrations.AlterModelOptions(
            name="earningrule",
            options={
                "ordering": ["rule_set", "-priority", "code"],
                "verbose_name": "earning rule",
                "verbose_name_plural": "earning rules",
            },
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.UniqueConstraint(
                fields=["rule_set", "code"],
                name="loyalty_earningrule_code_unique",
                violation_error_message="The version has a rule with this code already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(basis__in=["amount", "nights", "stays", "event"])
                & models.Q(result__in=["rate", "multiplier", "fixed"])
                & models.Q(stacking__in=["add", "best_of", "exclusive"]),
                name="loyalty_earningrule_choices_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(basis="event", result="fixed", event__in=EVENTS)
                | (~models.Q(basis="event") & models.Q(event="")),
                name="loyalty_earningrule_event_known",
                violation_error_message="An event gives fixed points, and nothing else has an event.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(categories__contained_by=CATEGORIES),
                name="loyalty_earningrule_category_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(charge_weekdays__contained_by=[1, 2, 3, 4, 5, 6, 7]),
                name="loyalty_earningrule_weekday_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(value__gte=0),
                name="loyalty_earningrule_value_not_negative",
                violation_error_message="A value is zero or more.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=~models.Q(result="multiplier") | models.Q(value__gte=1, is_base=False),
                name="loyalty_earningrule_multiplier_above_one",
                violation_error_message="A multiple is one or more, and of other points than its own.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(is_base=False) | models.Q(result="rate"),
                name="loyalty_earningrule_base_is_rate",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(charges_until=None)
                | models.Q(charges_from=None)
                | models.Q(charges_until__gt=models.F("charges_from")),
                name="loyalty_earningrule_dates_ordered",
                violation_error_message="The end is not after the beginning.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(stacking="add", group="")
                | (~models.Q(stacking="add") & ~models.Q(group="")),
                name="loyalty_earningrule_group_where_needed",
                violation_error_message="A group is named where only one of it counts, and only there.",
            ),
        ),
        migrations.CreateModel(
            name="RuleUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rule_code", models.SlugField(max_length=40, verbose_name="rule")),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("day", "points of a member on a day"),
                            ("month", "points of a member in a month"),
                            ("member", "points of a member"),
                            ("points", "points of the budget"),
                            ("money", "money of the budget"),
                        ],
                        max_length=6,
                        verbose_name="scope",
                    ),
                ),
                ("period", models.DateField(blank=True, null=True, verbose_name="period")),
                ("used", models.DecimalField(decimal_places=4, default=0, max_digits=18, verbose_name="used")),
                ("cap", models.DecimalField(decimal_places=4, max_digits=18, verbose_name="cap")),
                (
                    "membership",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="loyalty.membership",
                        verbose_name="membership",
                    ),
                ),
                (
                    "programme",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="loyalty.programme",
                        verbose_name="programme",
                    ),
                ),
            ],
            options={
                "verbose_name": "use of a cap",
                "verbose_name_plural": "uses of caps",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["programme", "membership", "rule_code", "scope", "period"],
                        nulls_distinct=False,
                        name="loyalty_ruleuse_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(used__gte=0, used__lte=models.F("cap")),
                        name="loyalty_ruleuse_within_cap",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(scope="day", membership__isnull=False, period__isnull=False)
                        | models.Q(scope="month", membership__isnull=False, period__isnull=False)
                        | models.Q(scope="member", membership__isnull=False, period=None)
                        | models.Q(scope__in=["points", "money"], membership=None, period=None),
                        name="loyalty_ruleuse_scope_known",
                    ),
                ],
            },
        ),
    ]
