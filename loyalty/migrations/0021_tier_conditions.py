"""Say what the three columns of a threshold said as a tree of conditions, and what counts as a policy."""

import datetime as dt
from decimal import Decimal

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.migrations.exceptions import IrreversibleError

# Before every stay that a programme may hold.
BEGINNING = dt.date(1970, 1, 1)
COLUMNS = {"amount": "min_amount", "stays": "min_stays", "nights": "min_nights"}


def _number(value: Decimal) -> int | str:
    return int(value) if value == int(value) else str(value)


def to_trees(apps: StateApps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    criteria = apps.get_model("loyalty", "TierCriteria")
    rows = list(criteria.objects.all())
    for row in rows:
        row.conditions = {
            "any": [
                {"field": field, "op": "gte", "value": _number(getattr(row, column))}
                for field, column in COLUMNS.items()
                if getattr(row, column) is not None
            ]
        }
    criteria.objects.bulk_update(rows, ["conditions"], batch_size=1000)
    policies = apps.get_model("loyalty", "TierPolicy")
    policies.objects.bulk_create(
        policies(programme=programme, effective_from=BEGINNING, window_months=programme.qualification_months)
        for programme in apps.get_model("loyalty", "Programme").objects.all()
    )


def to_columns(apps: StateApps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    criteria = apps.get_model("loyalty", "TierCriteria")
    rows = list(criteria.objects.all())
    for row in rows:
        leaves = row.conditions.get("any", [row.conditions])
        for leaf in leaves:
            if leaf.get("field") not in COLUMNS or leaf.get("op") != "gte":
                message = f"Threshold {row.pk} cannot be said with the columns of old."
                raise IrreversibleError(message)
            setattr(row, COLUMNS[leaf["field"]], leaf["value"])
    criteria.objects.bulk_update(rows, list(COLUMNS.values()), batch_size=1000)
    policies = apps.get_model("loyalty", "TierPolicy")
    for programme in apps.get_model("loyalty", "Programme").objects.all():
        newest = policies.objects.filter(programme=programme).order_by("-effective_from").first()
        if newest is not None:
            programme.qualification_months = newest.window_months
            programme.save(update_fields=["qualification_months"])
    policies.objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0020_tier_programmes")]

    operations = [migrations.RunPython(to_trees, to_columns)]
