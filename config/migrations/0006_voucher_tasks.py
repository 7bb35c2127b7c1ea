from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, minute of the hour, what it is for)
TASKS = {
    "Expire vouchers": ("loyalty.expire_vouchers", "25", "Ends vouchers after their last day and notes reminders."),
    "Resume voucher batches": (
        "loyalty.resume_voucher_batches",
        "*/5",
        "Takes up batches of vouchers whose worker or message was lost.",
    ),
}


def create_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Hourly and not nightly, because midnight comes at another hour in each programme's time zone."""
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (task, minute, description) in TASKS.items():
        schedule, _created = crontab.objects.get_or_create(minute=minute, hour="*", timezone="UTC")
        task_model.objects.get_or_create(
            name=name, defaults={"task": task, "crontab": schedule, "description": description}
        )


def delete_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0005_birthday_grants")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
