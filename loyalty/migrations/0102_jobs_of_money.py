"""Expiry of vouchers, time-out of holds and settlement run as jobs."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('loyalty', '0101_settlement_guards'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='jobrun',
            name='loyalty_jobrun_job_known',
        ),
        migrations.AlterField(
            model_name='jobrun',
            name='job',
            field=models.CharField(choices=[('release_points', 'release of points'), ('expire_points', 'expiry of points'), ('notify_expiry', 'notice of expiry'), ('review_tiers', 'review of tiers'), ('grant_birthdays', 'birthday grants'), ('expire_vouchers', 'expiry of vouchers'), ('time_out_holds', 'time-out of holds'), ('settle', 'settlement between properties')], max_length=20, verbose_name='job'),
        ),
        migrations.AddConstraint(
            model_name='jobrun',
            constraint=models.CheckConstraint(condition=models.Q(('job__in', ['release_points', 'expire_points', 'notify_expiry', 'review_tiers', 'grant_birthdays', 'expire_vouchers', 'time_out_holds', 'settle'])), name='loyalty_jobrun_job_known'),
        ),
    ]
