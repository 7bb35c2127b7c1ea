"""Indexes of the desk's search; what each serves stands in `members.selectors.search`."""

import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models

import members.models.guest

# PL/pgSQL because it builds this index four times faster than an SQL function with a subquery.
CREATE_FUNCTION = """
CREATE FUNCTION members_name_grams(name text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    folded text := lower(name);
    grams text[] := '{}';
BEGIN
    FOR i IN 1 .. length(folded) - 1 LOOP
        grams[i] := substr(folded, i, 2);
    END LOOP;
    RETURN grams;
END $$;
"""
DROP_FUNCTION = "DROP FUNCTION members_name_grams(text);"


class Migration(migrations.Migration):
    """Put the rank column into the indexes, because sorting many hits is what costs."""

    dependencies = [("members", "0002_stay_content_hash")]

    operations = [
        migrations.RunSQL(CREATE_FUNCTION, DROP_FUNCTION),
        migrations.RemoveIndex(model_name="guest", name="members_guest_name"),
        migrations.RemoveIndex(model_name="guest", name="members_guest_pinyin"),
        migrations.AddIndex(
            model_name="guest",
            index=models.Index(
                django.db.models.functions.text.Left("name", 2),
                models.OrderBy(models.F("last_stay_date"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                name="members_guest_name2",
            ),
        ),
        migrations.AddIndex(
            model_name="guest",
            index=django.contrib.postgres.indexes.GinIndex(
                members.models.guest.NameGrams("name"), name="members_guest_grams"
            ),
        ),
        migrations.AddIndex(
            model_name="guest",
            index=models.Index(
                fields=["name_pinyin"],
                include=("last_stay_date", "id"),
                name="members_guest_pinyin",
                opclasses=["text_pattern_ops"],
            ),
        ),
        migrations.AddIndex(
            model_name="guest",
            index=models.Index(
                models.OrderBy(models.F("last_stay_date"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                include=("name_pinyin",),
                name="members_guest_recent",
            ),
        ),
        migrations.AddIndex(
            model_name="guestidentity",
            index=models.Index(fields=["value_index"], name="members_identity_value"),
        ),
        migrations.AddIndex(
            model_name="guestidentity",
            index=models.Index(
                condition=models.Q(("kind", "membership")), fields=["value"], name="members_identity_number"
            ),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(fields=["source_reference"], name="members_reservation_reference"),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                condition=models.Q(("status", "in_house")),
                fields=["property", "departure_date"],
                name="members_reservation_in_house",
            ),
        ),
        migrations.AddIndex(
            model_name="stay",
            index=models.Index(fields=["source_reference"], name="members_stay_reference"),
        ),
    ]
