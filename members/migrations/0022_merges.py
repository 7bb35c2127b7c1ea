"""One guest, one profile: merges, pairs of two people, pairs to be looked at, runs of the linkage."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the tables, and where a merged profile leads."""

    dependencies = [
        ("members", "0021_import_pause_and_sources"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GuestMerge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('moved', models.JSONField(default=dict, verbose_name='what moved')),
                ('merged_at', models.DateTimeField(verbose_name='merged at')),
                ('undone_at', models.DateTimeField(blank=True, null=True, verbose_name='undone at')),
                ('undo_reason', models.CharField(blank=True, max_length=200, verbose_name='why undone')),
            ],
            options={
                'verbose_name': 'merge of guests',
                'verbose_name_plural': 'merges of guests',
            },
        ),
        migrations.CreateModel(
            name='LinkageRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('running', 'running'), ('done', 'done'), ('failed', 'failed')], default='waiting', max_length=8, verbose_name='state')),
                ('step', models.CharField(blank=True, max_length=12, verbose_name='step')),
                ('requested_at', models.DateTimeField(verbose_name='requested at')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started at')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished at')),
                ('guest_count', models.PositiveIntegerField(default=0, verbose_name='guests compared')),
                ('merged_count', models.PositiveIntegerField(default=0, verbose_name='merged')),
                ('review_count', models.PositiveIntegerField(default=0, verbose_name='to be looked at')),
                ('error', models.CharField(blank=True, max_length=200, verbose_name='error')),
            ],
            options={
                'verbose_name': 'search for duplicates',
                'verbose_name_plural': 'searches for duplicates',
            },
        ),
        migrations.CreateModel(
            name='MergeCandidate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('weight', models.FloatField(verbose_name='weight')),
                ('evidence', models.JSONField(default=list, verbose_name='evidence')),
                ('state', models.CharField(choices=[('open', 'to be decided'), ('later', 'put off'), ('merged', 'merged'), ('apart', 'two people')], default='open', max_length=8, verbose_name='state')),
                ('found_at', models.DateTimeField(verbose_name='found at')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
            ],
            options={
                'verbose_name': 'possible duplicate',
                'verbose_name_plural': 'possible duplicates',
            },
        ),
        migrations.CreateModel(
            name='NotSamePerson',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('decided_at', models.DateTimeField(verbose_name='decided at')),
            ],
            options={
                'verbose_name': 'pair of two people',
                'verbose_name_plural': 'pairs of two people',
            },
        ),
        migrations.AlterModelOptions(
            name='guest',
            options={'permissions': [('use_desk', 'Can use the desk'), ('reveal_pii', 'Can reveal masked personal data'), ('import_guests', 'Can import guests'), ('export_guests', 'Can export guests'), ('merge_guests', 'Can merge guests')], 'verbose_name': 'guest', 'verbose_name_plural': 'guests'},
        ),
        migrations.AddField(
            model_name='guest',
            name='merged_into',
            field=models.ForeignKey(blank=True, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='members.guest', verbose_name='merged into'),
        ),
        migrations.AddIndex(
            model_name='guest',
            index=models.Index(condition=models.Q(('merged_into__isnull', False)), fields=['merged_into'], name='members_guest_merged_into'),
        ),
        migrations.AddConstraint(
            model_name='guest',
            constraint=models.CheckConstraint(condition=models.Q(('merged_into', None), models.Q(('merged_into', models.F('pk')), _negated=True), _connector='OR'), name='members_guest_not_into_itself'),
        ),
        migrations.AddField(
            model_name='guestmerge',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who'),
        ),
        migrations.AddField(
            model_name='guestmerge',
            name='merged',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='merged_by', to='members.guest', verbose_name='profile merged'),
        ),
        migrations.AddField(
            model_name='guestmerge',
            name='survivor',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='merges', to='members.guest', verbose_name='profile kept'),
        ),
        migrations.AddField(
            model_name='guestmerge',
            name='undone_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='undone by'),
        ),
        migrations.AddField(
            model_name='linkagerun',
            name='requested_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who'),
        ),
        migrations.AddField(
            model_name='mergecandidate',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by'),
        ),
        migrations.AddField(
            model_name='mergecandidate',
            name='first',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='members.guest', verbose_name='guest'),
        ),
        migrations.AddField(
            model_name='mergecandidate',
            name='second',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='members.guest', verbose_name='other guest'),
        ),
        migrations.AddField(
            model_name='notsameperson',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by'),
        ),
        migrations.AddField(
            model_name='notsameperson',
            name='first',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='members.guest', verbose_name='guest'),
        ),
        migrations.AddField(
            model_name='notsameperson',
            name='second',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='members.guest', verbose_name='other guest'),
        ),
        migrations.AddIndex(
            model_name='guestmerge',
            index=models.Index(condition=models.Q(('undone_at', None)), fields=['survivor', '-id'], name='members_guestmerge_standing'),
        ),
        migrations.AddConstraint(
            model_name='guestmerge',
            constraint=models.CheckConstraint(condition=models.Q(('survivor', models.F('merged')), _negated=True), name='members_guestmerge_two_guests', violation_error_message='A profile cannot be merged with itself.'),
        ),
        migrations.AddConstraint(
            model_name='guestmerge',
            constraint=models.UniqueConstraint(condition=models.Q(('undone_at', None)), fields=('merged',), name='members_guestmerge_once', violation_error_message='This profile is merged already.'),
        ),
        migrations.AddConstraint(
            model_name='linkagerun',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'running', 'done', 'failed'])), name='members_linkagerun_state_known'),
        ),
        migrations.AddConstraint(
            model_name='linkagerun',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('state',), name='members_linkagerun_one_running', violation_error_message='A search is running already.'),
        ),
        migrations.AddIndex(
            model_name='mergecandidate',
            index=models.Index(fields=['state', '-weight', '-id'], name='members_mergecandidate_queue'),
        ),
        migrations.AddConstraint(
            model_name='mergecandidate',
            constraint=models.CheckConstraint(condition=models.Q(('first__lt', models.F('second'))), name='members_mergecandidate_ordered'),
        ),
        migrations.AddConstraint(
            model_name='mergecandidate',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['open', 'later', 'merged', 'apart'])), name='members_mergecandidate_state_known'),
        ),
        migrations.AddConstraint(
            model_name='mergecandidate',
            constraint=models.UniqueConstraint(fields=('first', 'second'), name='members_mergecandidate_unique'),
        ),
        migrations.AddConstraint(
            model_name='notsameperson',
            constraint=models.CheckConstraint(condition=models.Q(('first__lt', models.F('second'))), name='members_notsameperson_ordered'),
        ),
        migrations.AddConstraint(
            model_name='notsameperson',
            constraint=models.UniqueConstraint(fields=('first', 'second'), name='members_notsameperson_unique', violation_error_message='This is known already.'),
        ),
    ]
