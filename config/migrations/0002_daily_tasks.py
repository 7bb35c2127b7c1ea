from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, hour and minute in UTC, what it is for)
TASKS = {
    "Discard stale imports": (
        "members.tasks.discard_stale_imports",
        ("19", "40"),
        "Deletes uploaded files that nobody went on with.",
    ),
    "Delete old answers": (
        "hotels.tasks.delete_old_answers",
        ("19", "50"),
        "Forgets answers kept for retries of API clients.",
    ),
}
# Made by beat from the settings of old, where they were set back at each start.
FORMER = ["resume-imports", "discard-stale-imports"]


def create_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """In the small hours of China; each is one batch after the other, so the hour does not matter elsewhere."""
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    task_model.objects.filter(name__in=FORMER).delete()
    for name, (task, (hour, minute), description) in TASKS.items():
        schedule, _created = crontab.objects.get_or_create(minute=minute, hour=hour, timezone="UTC")
        task_model.objects.get_or_create(
            name=name, defaults={"task": task, "crontab": schedule, "description": description}
        )


def delete_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0001_periodic_tasks")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
