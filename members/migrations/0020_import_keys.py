from django.db import migrations


class Migration(migrations.Migration):
    """Where a value stood first in a file that is being checked (`members.services.imports.keys`).

    No model: rows live for one check, and nothing reads them but that check. Not logged: a check that is lost begins
    anew. No foreign key, so that emptying the imports needs no CASCADE.
    """

    dependencies = [("members", "0011_booking_reference")]

    operations = [
        migrations.RunSQL(
            """
            CREATE UNLOGGED TABLE members_importkey (
                batch_id bigint NOT NULL,
                key bytea NOT NULL,
                row_number integer NOT NULL,
                CONSTRAINT members_importkey_unique PRIMARY KEY (batch_id, key)
            )
            """,
            "DROP TABLE members_importkey",
        )
    ]
