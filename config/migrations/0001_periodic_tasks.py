from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# name: (task, minute of the hour, what it is for)
TASKS = {
    "Release pending points": ("loyalty.release_points", "5", "Opens points whose dispute window is over."),
    "Expire points": ("loyalty.expire_points", "15", "Books out lapsed points."),
    "Time out holds": ("loyalty.time_out_holds", "*/5", "Gives back points of holds that nobody captured."),
    "Resume imports": ("members.tasks.resume_imports", "*/5", "Takes up imports whose worker or message was lost."),
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
    initial = True

    dependencies = [("django_celery_beat", "0019_alter_periodictasks_options")]

    operations = [migrations.RunPython(create_tasks, delete_tasks)]
