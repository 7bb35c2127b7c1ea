"""Finance reads postings by time."""

import django.contrib.postgres.indexes
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('loyalty', '0102_jobs_of_money'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='posting',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['occurred_at'], name='loyalty_posting_period'),
        ),
    ]
