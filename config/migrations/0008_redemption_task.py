from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Expire redemptions"


def create_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Every hour, because midnight comes at another hour at each property."""
    schedule, _created = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="35", hour="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "loyalty.expire_redemptions",
            "crontab": schedule,
            "description": "Ends redemptions that nobody asked for within the days of their reward.",
        },
    )


def delete_task(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0007_tier_review")]

    operations = [migrations.RunPython(create_task, delete_task)]
