import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Settle between properties"


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """In the first days of a month, so that one missed day does no harm; a closed month has nothing due."""
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    schedule, _created = crontab.objects.get_or_create(minute="40", hour="*", day_of_month="2-4", timezone="UTC")
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "loyalty.start_job_runs",
            "crontab": schedule,
            "kwargs": json.dumps({"job": "settle"}),
            "description": "Closes the month before: what properties owe each other for points redeemed elsewhere.",
        },
    )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0008_redemption_task")]

    operations = [migrations.RunPython(create_task, delete_task)]
