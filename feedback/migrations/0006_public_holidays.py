"""Public holidays and make-up working days of mainland China, as the State Council's General Office announced them.

Rows to edit and to add to: each year's notice comes in the November before. 2025: 国办发明电〔2024〕12号;
2026: 国办发明电〔2025〕7号.
"""

import datetime as dt

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SOURCES = {2025: "国务院办公厅 国办发明电〔2024〕12号", 2026: "国务院办公厅 国办发明电〔2025〕7号"}
# name, name in English, first day, last day, make-up working days
HOLIDAYS = (
    ("元旦", "New Year’s Day", "2025-01-01", "2025-01-01", ()),
    ("春节", "Spring Festival", "2025-01-28", "2025-02-04", ("2025-01-26", "2025-02-08")),
    ("清明节", "Tomb-Sweeping Day", "2025-04-04", "2025-04-06", ()),
    ("劳动节", "Labor Day", "2025-05-01", "2025-05-05", ("2025-04-27",)),
    ("端午节", "Dragon Boat Festival", "2025-05-31", "2025-06-02", ()),
    ("国庆节、中秋节", "National Day and Mid-Autumn Festival", "2025-10-01", "2025-10-08", ("2025-09-28", "2025-10-11")),
    ("元旦", "New Year’s Day", "2026-01-01", "2026-01-03", ("2026-01-04",)),
    ("春节", "Spring Festival", "2026-02-15", "2026-02-23", ("2026-02-14", "2026-02-28")),
    ("清明节", "Tomb-Sweeping Day", "2026-04-04", "2026-04-06", ()),
    ("劳动节", "Labor Day", "2026-05-01", "2026-05-05", ("2026-05-09",)),
    ("端午节", "Dragon Boat Festival", "2026-06-19", "2026-06-21", ()),
    ("中秋节", "Mid-Autumn Festival", "2026-09-25", "2026-09-27", ()),
    ("国庆节", "National Day", "2026-10-01", "2026-10-07", ("2026-09-20", "2026-10-10")),
)


def add_holidays(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    holiday = apps.get_model("feedback", "PublicHoliday")
    rows = []
    for name, name_en, first, last, make_up in HOLIDAYS:
        begin, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
        facts = {"country": "CN", "name": name, "name_en": name_en, "source": SOURCES[begin.year]}
        days = [begin + dt.timedelta(days=n) for n in range((end - begin).days + 1)]
        rows += [holiday(**facts, date=day) for day in days]
        rows += [holiday(**facts, date=dt.date.fromisoformat(day), is_working=True) for day in make_up]
    holiday.objects.bulk_create(rows, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("feedback", "0005_history")]

    operations = [migrations.RunPython(add_holidays, migrations.RunPython.noop)]
