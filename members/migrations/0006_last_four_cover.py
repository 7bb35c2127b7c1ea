"""Answer a search for the last four digits from the index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Carry the guest and the kind."""

    dependencies = [("members", "0005_recent_names")]

    operations = [
        migrations.RemoveIndex(model_name="guestidentity", name="members_identity_last4"),
        migrations.AddIndex(
            model_name="guestidentity",
            index=models.Index(
                models.F("last4_index"),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("last4_index__isnull", False)),
                include=("guest", "kind"),
                name="members_identity_last4",
            ),
        ),
    ]
