from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Expire approval requests"


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour: a request lives for days."""
    schedule, _created = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="35", hour="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "loyalty.expire_approvals",
            "crontab": schedule,
            "description": "Ends requests that nobody decided in time and gives held points back.",
        },
    )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0009_settlement_task")]

    operations = [migrations.RunPython(create_task, delete_task)]
