from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, hour and minute in UTC, what it is for)
TASKS = {
    "Delete old drafts": (
        "hotels.tasks.delete_old_drafts",
        ("19", "55"),
        "Deletes what was typed, never sent and not come back to for seven days.",
    ),
}


def create_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (task, (hour, minute), description) in TASKS.items():
        schedule, _created = crontab.objects.get_or_create(minute=minute, hour=hour, timezone="UTC")
        task_model.objects.get_or_create(
            name=name, defaults={"task": task, "crontab": schedule, "description": description}
        )


def delete_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0002_daily_tasks")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
