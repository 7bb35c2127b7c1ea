import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Review tiers"


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour, as the other jobs; a date has one run."""
    schedule, _created = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="45", hour="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "loyalty.start_job_runs",
            "crontab": schedule,
            "kwargs": json.dumps({"job": "review_tiers"}),
            "description": "Moves members up who are due, renews tiers, decides challenges, notes warnings.",
        },
    )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0006_voucher_tasks")]

    operations = [migrations.RunPython(create_task, delete_task)]
