import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# By the name of the periodic task, the job it starts.
TASKS = {"Grant birthday points": "grant_birthdays"}


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour, as the other jobs; a date has one run."""
    schedule, _created = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="35", hour="*", timezone="UTC"
    )
    for name, job in TASKS.items():
        apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
            name=name,
            defaults={
                "task": "loyalty.start_job_runs",
                "crontab": schedule,
                "kwargs": json.dumps({"job": job}),
                "description": "Gives members the points of their birthday month, once a year.",
            },
        )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0004_job_runs")]

    operations = [migrations.RunPython(create_task, delete_task)]
