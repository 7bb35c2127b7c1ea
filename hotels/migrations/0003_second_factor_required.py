from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hotels", "0002_append_only"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="second_factor_required",
            field=models.BooleanField(
                default=False,
                help_text="The user must set up an authenticator app or a security key before anything else.",
                verbose_name="second factor required",
            ),
        ),
    ]
