import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Grant birthday points"


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour, as the other jobs; a date has one run."""
    schedule, _created = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="35", hour="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "loyalty.start_job_runs",
            "crontab": schedule,
            "kwargs": json.dumps({"job": "grant_birthdays"}),
            "description": "Gives members the points of their birthday month, once a year.",
        },
    )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0004_job_runs")]

    operations = [migrations.RunPython(create_task, delete_task)]
