from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, seconds, what it is for)
TASKS = {
    "Send ticket reminders": ("feedback.send_reminders", 5, "Tells those on duty which tickets run out of time."),
    "Assign waiting tickets": ("feedback.assign_waiting", 60, "Gives tickets without an owner to people on duty."),
    "Close shifts": ("feedback.close_shifts", 60, "Lists what a shift that has ended leaves to the next."),
}


def create_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, (task, seconds, description) in TASKS.items():
        schedule, _created = interval.objects.get_or_create(every=seconds, period="seconds")
        # A tick that was not taken up before the next one is due says nothing new.
        task_model.objects.get_or_create(
            name=name,
            defaults={
                "task": task,
                "interval": schedule,
                "description": description,
                "expire_seconds": max(seconds, 30),
            },
        )


def delete_tasks(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name__in=TASKS).delete()


class Migration(migrations.Migration):
    dependencies = [("config", "0010_approval_expiry")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
