from django.db import migrations, models

# Before, an empty quantity slipped through: it had been meant as once.
ONCE = "UPDATE loyalty_tierbenefit SET quantity = 1 WHERE quantity IS NULL AND period IN ('stay', 'year')"


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0060_back_tests")]

    operations = [
        migrations.RunSQL(ONCE, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="tierbenefit", name="loyalty_tierbenefit_quantity_given"),
        migrations.AddConstraint(
            model_name="tierbenefit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("period__in", ["stay", "year"]), ("quantity__gte", 1), ("quantity__isnull", False)
                )
                | models.Q(("period__in", ["shown", "unlimited"]), ("quantity__isnull", True)),
                name="loyalty_tierbenefit_quantity_given",
                violation_error_message="Say how often for each stay or year, and only there.",
            ),
        ),
    ]
