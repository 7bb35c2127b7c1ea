"""The ledger's guards and checks at a third of their cost: see `sql/0008_ledger_guards.sql`."""

import re
from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

FOLDER = Path(__file__).parent / "sql"
SQL = (FOLDER / "0008_ledger_guards.sql").read_text(encoding="utf-8")
BEFORE = (FOLDER / "0004_ledger_guards.sql").read_text(encoding="utf-8")


def before(pattern: str) -> str:
    """What 0004 created under this name."""
    return re.search(pattern, BEFORE, flags=re.DOTALL)[0]


BACK = "\n".join(
    [
        "DROP TRIGGER loyalty_account_no_rewind ON loyalty_account;",
        "DROP TRIGGER loyalty_lot_check_insert ON loyalty_lot;",
        "DROP TRIGGER loyalty_account_check_insert ON loyalty_account;",
        "DROP FUNCTION loyalty_check_new_lots, loyalty_check_new_account, loyalty_flaw;",
        *(
            before(rf"CREATE FUNCTION loyalty_check_{name}\(.*?\nEND \$\$;\n").replace("CREATE", "CREATE OR REPLACE", 1)
            for name in ("accounts", "postings", "lots", "moves")
        ),
        before(r"CREATE TRIGGER loyalty_lot_check_insert .*?;\n"),
        before(r"CREATE TRIGGER loyalty_account_check_insert .*?;\n"),
    ]
)
DROP = "DROP FUNCTION loyalty_kind_known, loyalty_none_negative, loyalty_posting_sound, loyalty_lot_sound;"


def holds(function: str, *fields: str) -> models.Func:
    """The condition that a function of the database keeps."""
    return models.Func(*map(models.F, fields), function=function, output_field=models.BooleanField())


class Migration(migrations.Migration):
    """Let functions check what CHECKs spelled out, then let the guards open less."""

    dependencies = [("loyalty", "0007_ledger_single")]

    operations = [
        migrations.RunSQL(SQL, BACK + DROP),
        migrations.RemoveConstraint("account", "loyalty_account_not_negative"),
        migrations.RemoveConstraint("lot", "loyalty_lot_remaining_in_range"),
        migrations.RemoveConstraint("lot", "loyalty_lot_closed_is_empty"),
        migrations.RemoveConstraint("lot", "loyalty_lot_pending_has_day"),
        migrations.RemoveConstraint("lot", "loyalty_lot_class_known"),
        migrations.RemoveConstraint("posting", "loyalty_posting_seq_positive"),
        migrations.RemoveConstraint("posting", "loyalty_posting_kind_known"),
        migrations.RemoveConstraint("posting", "loyalty_posting_not_negative"),
        migrations.RemoveConstraint("posting", "loyalty_posting_sign"),
        migrations.RemoveConstraint("posting", "loyalty_posting_reverses"),
        migrations.RemoveConstraint("sourcekey", "loyalty_sourcekey_kind_known"),
        migrations.AddConstraint(
            "account",
            models.CheckConstraint(
                condition=holds("loyalty_none_negative", "available", "pending", "held", "debt"),
                name="loyalty_account_not_negative",
                violation_error_message="A balance is zero or more.",
            ),
        ),
        migrations.AddConstraint(
            "posting",
            models.CheckConstraint(
                condition=holds(
                    "loyalty_posting_sound",
                    "kind",
                    "seq",
                    "points",
                    "available_after",
                    "pending_after",
                    "held_after",
                    "debt_after",
                    "reverses",
                    "reversed_points",
                ),
                name="loyalty_posting_sound",
            ),
        ),
        migrations.AddConstraint(
            "lot",
            models.CheckConstraint(
                condition=holds("loyalty_lot_sound", "lot_class", "state", "original", "remaining", "release_on"),
                name="loyalty_lot_sound",
            ),
        ),
        migrations.AddConstraint(
            "sourcekey",
            models.CheckConstraint(condition=holds("loyalty_kind_known", "kind"), name="loyalty_sourcekey_kind_known"),
        ),
        # A lot's property is its posting's, which has the foreign key.
        migrations.AlterField(
            "lot",
            "funding_property",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="hotels.property",
                verbose_name="funded by",
            ),
        ),
        migrations.RemoveIndex("lot", "loyalty_lot_posting"),
        migrations.AddConstraint(
            "lot", models.UniqueConstraint(fields=["posting", "account"], name="loyalty_lot_one_per_posting")
        ),
    ]
