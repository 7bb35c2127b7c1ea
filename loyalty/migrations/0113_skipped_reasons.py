from django.db import migrations, models


class Migration(migrations.Migration):
    """Rows of a review say in words why they were skipped."""

    dependencies = [("loyalty", "0112_reversed_is_no_activity")]

    operations = [
        migrations.AlterField(
            model_name="tierreviewrow",
            name="skipped_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("excluded", "left out by a manager"),
                    ("inactive", "the membership is no longer active"),
                    ("no_longer", "the member no longer moves"),
                    ("changed", "the member would move elsewhere by now"),
                ],
                max_length=20,
                verbose_name="why skipped",
            ),
        ),
        migrations.AddConstraint(
            model_name="tierreviewrow",
            constraint=models.CheckConstraint(
                condition=models.Q(("skipped_reason__in", ["", "excluded", "inactive", "no_longer", "changed"])),
                name="loyalty_tierreviewrow_skipped_known",
            ),
        ),
    ]
