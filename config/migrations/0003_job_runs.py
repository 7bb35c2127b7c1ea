import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, minute, arguments, what it is for)
TASKS = {
    "Notify of expiry": (
        "loyalty.start_job_runs",
        "25",
        {"job": "notify_expiry"},
        "Writes the notices that are due to members whose points are about to lapse.",
    ),
    "Resume job runs": (
        "loyalty.resume_runs",
        "*/5",
        {},
        "Takes up runs that wait for a worker, and those whose worker was lost.",
    ),
}


def create_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour, because the day begins at another hour in each programme's time zone; a date has one run."""
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (task, minute, arguments, description) in TASKS.items():
        schedule, _created = crontab.objects.get_or_create(minute=minute, hour="*", timezone="UTC")
        task_model.objects.get_or_create(
            name=name,
            defaults={
                "task": task,
                "crontab": schedule,
                "kwargs": json.dumps(arguments),
                "description": description,
            },
        )


def delete_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0002_daily_tasks")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
