"""Referral codes, policies and referrals; social shares."""

import django.core.validators
import django.db.models.deletion
import loyalty.models.referral
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hotels', '0004_api_requests'),
        ("loyalty", "0041_voucher_guards"),
        ('members', '0007_known_choices'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReferralCode',
            fields=[
                ('membership', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='referral_code', serialize=False, to='loyalty.membership', verbose_name='membership')),
                ('code', models.CharField(max_length=8, unique=True, verbose_name='referral code')),
            ],
            options={
                'verbose_name': 'referral code',
                'verbose_name_plural': 'referral codes',
            },
        ),
        migrations.CreateModel(
            name='ReferralPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effective_from', models.DateField(verbose_name='in force from')),
                ('is_open', models.BooleanField(default=True, help_text='Off: no new friends from this date; those who joined count.', verbose_name='takes referrals')),
                ('entry_days', models.PositiveSmallIntegerField(default=30, help_text='After the friend joined.', verbose_name='code can be entered within days')),
                ('stay_days', models.PositiveSmallIntegerField(blank=True, help_text="The friend's first paid stay ends so many days after joining. Empty: whenever.", null=True, verbose_name='stay within days')),
                ('min_amount', models.DecimalField(decimal_places=2, default=0, help_text="In the programme's currency.", max_digits=12, validators=[django.core.validators.MinValueValidator(0)], verbose_name='stay costs at least')),
                ('month_limit', models.PositiveSmallIntegerField(blank=True, help_text='Empty: any number.', null=True, verbose_name='friends per member and month')),
                ('year_limit', models.PositiveSmallIntegerField(blank=True, help_text='Empty: any number.', null=True, verbose_name='friends per member and year')),
                ('condition', models.JSONField(blank=True, default=loyalty.models.referral.any_stay, verbose_name='condition of the stay')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='referral_policies', to='loyalty.programme', verbose_name='programme')),
            ],
            options={
                'verbose_name': 'referral policy',
                'verbose_name_plural': 'referral policies',
                'ordering': ['programme', '-effective_from', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Referral',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('code', models.CharField(max_length=8, verbose_name='code used')),
                ('state', models.CharField(choices=[('invited', 'invited'), ('joined', 'joined'), ('qualified', 'granted'), ('rejected', 'refused')], max_length=10, verbose_name='state')),
                ('reason', models.CharField(blank=True, choices=[('self_referral', 'Members cannot refer themselves.'), ('shared_identity', 'Both have the same telephone, e-mail address, document or WeChat account.'), ('shared_room', 'Both stayed in the same room at the same time.'), ('referrer_inactive', 'The membership of the one who refers is not active.'), ('friend_inactive', "The friend's membership is not active."), ('already_referred', 'The friend came by another referral already.'), ('joined_before_referrer', 'The friend was a member before the one who refers.'), ('entered_too_late', 'The time for entering a code after joining is over.'), ('stayed_before', 'The friend had stayed with us before joining.'), ('stay_too_late', 'The first paid stay came too long after joining.'), ('month_limit', 'No more friends of this member count in the month.'), ('year_limit', 'No more friends of this member count in the year.'), ('withdrawn', 'Withdrawn by staff.')], max_length=24, verbose_name='reason')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='note')),
                ('qualified_on', models.DateField(blank=True, null=True, verbose_name='counts on')),
                ('grants', models.PositiveSmallIntegerField(default=0, verbose_name='times granted')),
                ('entered_at', models.DateTimeField(verbose_name='entered at')),
                ('joined_on', models.DateField(blank=True, null=True, verbose_name='joined on')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('entered_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='entered by')),
                ('friend', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='referrals', to='loyalty.membership', verbose_name="friend's membership")),
                ('guest', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='referrals', to='members.guest', verbose_name='friend')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='referrals', to='loyalty.programme', verbose_name='programme')),
                ('property', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='entered at property')),
                ('referrer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='referrals_made', to='loyalty.membership', verbose_name='referred by')),
                ('stay', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='referrals', to='members.stay', verbose_name='stay that counts')),
                ('policy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.referralpolicy', verbose_name='policy')),
            ],
            options={
                'verbose_name': 'referral',
                'verbose_name_plural': 'referrals',
                'permissions': [('enter_referral', 'Can enter referral codes')],
            },
        ),
        migrations.CreateModel(
            name='SharePolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effective_from', models.DateField(verbose_name='in force from')),
                ('month_limit', models.PositiveSmallIntegerField(default=2, help_text='Those that were refused do not count. 0: none are taken.', validators=[django.core.validators.MinValueValidator(0)], verbose_name='shares per member and month')),
                ('needs_link', models.BooleanField(default=False, help_text='Off: a note that says where to find the post is enough.', verbose_name='needs a link')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='share_policies', to='loyalty.programme', verbose_name='programme')),
            ],
            options={
                'verbose_name': 'share policy',
                'verbose_name_plural': 'share policies',
                'ordering': ['programme', '-effective_from', '-id'],
            },
        ),
        migrations.CreateModel(
            name='SocialShare',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('platform', models.CharField(choices=[('xiaohongshu', 'Xiaohongshu'), ('weibo', 'Weibo'), ('wechat', 'WeChat'), ('douyin', 'Douyin'), ('other', 'another platform')], max_length=12, verbose_name='platform')),
                ('link', models.CharField(blank=True, max_length=500, verbose_name='link')),
                ('link_key', models.CharField(blank=True, editable=False, max_length=300)),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='note')),
                ('state', models.CharField(choices=[('submitted', 'to be decided'), ('approved', 'approved'), ('rejected', 'refused')], default='submitted', max_length=10, verbose_name='state')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('submitted_at', models.DateTimeField(verbose_name='submitted at')),
                ('submitted_on', models.DateField(verbose_name='submitted on')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
                ('grants', models.PositiveSmallIntegerField(default=0, verbose_name='times granted')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('membership', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='loyalty.membership', verbose_name='membership')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='loyalty.programme', verbose_name='programme')),
                ('property', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='property')),
                ('submitted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='submitted by')),
            ],
            options={
                'verbose_name': 'social share',
                'verbose_name_plural': 'social shares',
                'permissions': [('submit_share', 'Can enter social shares'), ('decide_share', 'Can approve and refuse social shares')],
            },
        ),
        migrations.AddConstraint(
            model_name='referralpolicy',
            constraint=models.UniqueConstraint(fields=('programme', 'effective_from'), name='loyalty_referralpolicy_day_unique', violation_error_message='The programme has a policy from this date already.'),
        ),
        migrations.AddConstraint(
            model_name='referralpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('min_amount__gte', 0)), name='loyalty_referralpolicy_amount_not_negative'),
        ),
        migrations.AddIndex(
            model_name='referral',
            index=models.Index(fields=['referrer', '-id'], name='loyalty_referral_of_member'),
        ),
        migrations.AddIndex(
            model_name='referral',
            index=models.Index(fields=['guest', '-id'], name='loyalty_referral_of_friend'),
        ),
        migrations.AddIndex(
            model_name='referral',
            index=models.Index(condition=models.Q(('state', 'qualified')), fields=['referrer', 'qualified_on'], name='loyalty_referral_counted'),
        ),
        migrations.AddConstraint(
            model_name='referral',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'rejected'), _negated=True), fields=('programme', 'guest'), name='loyalty_referral_one_standing', violation_error_message='The friend came by another referral already.'),
        ),
        migrations.AddConstraint(
            model_name='referral',
            constraint=models.UniqueConstraint(condition=models.Q(('stay__isnull', False)), fields=('programme', 'stay'), name='loyalty_referral_stay_once', violation_error_message='This stay counts for another referral already.'),
        ),
        migrations.AddConstraint(
            model_name='referral',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('friend', None), ('joined_on', None), ('reason', ''), ('state', 'invited'), ('stay', None)), models.Q(('friend__isnull', False), ('joined_on__isnull', False), ('reason', ''), ('state', 'joined'), ('stay', None)), models.Q(('friend__isnull', False), ('grants__gte', 1), ('joined_on__isnull', False), ('qualified_on__isnull', False), ('reason', ''), ('state', 'qualified'), ('stay__isnull', False)), models.Q(('state', 'rejected'), ('stay', None), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='loyalty_referral_state_legal'),
        ),
        migrations.AddConstraint(
            model_name='referral',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['', 'self_referral', 'shared_identity', 'shared_room', 'referrer_inactive', 'friend_inactive', 'already_referred', 'joined_before_referrer', 'entered_too_late', 'stayed_before', 'stay_too_late', 'month_limit', 'year_limit', 'withdrawn'])), name='loyalty_referral_reason_known'),
        ),
        migrations.AddConstraint(
            model_name='sharepolicy',
            constraint=models.UniqueConstraint(fields=('programme', 'effective_from'), name='loyalty_sharepolicy_day_unique', violation_error_message='The programme has a policy from this date already.'),
        ),
        migrations.AddIndex(
            model_name='socialshare',
            index=models.Index(fields=['membership', '-id'], name='loyalty_share_of_member'),
        ),
        migrations.AddIndex(
            model_name='socialshare',
            index=models.Index(fields=['state', 'id'], name='loyalty_share_queue'),
        ),
        migrations.AddConstraint(
            model_name='socialshare',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('link_key', ''), _negated=True), models.Q(('state', 'rejected'), _negated=True)), fields=('programme', 'link_key'), name='loyalty_socialshare_link_once', violation_error_message='This post was claimed already.'),
        ),
        migrations.AddConstraint(
            model_name='socialshare',
            constraint=models.CheckConstraint(condition=models.Q(('platform__in', ['xiaohongshu', 'weibo', 'wechat', 'douyin', 'other'])), name='loyalty_socialshare_platform_known'),
        ),
        migrations.AddConstraint(
            model_name='socialshare',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('reason', ''), ('state', 'submitted')), models.Q(('decided_at__isnull', False), ('grants__gte', 1), ('reason', ''), ('state', 'approved')), models.Q(('decided_at__isnull', False), ('state', 'rejected'), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='loyalty_socialshare_state_legal'),
        ),
        migrations.AddConstraint(
            model_name='socialshare',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('link', ''), _negated=True), models.Q(('note', ''), _negated=True), _connector='OR'), name='loyalty_socialshare_something_given', violation_error_message='Give a link, or say where to find the post.'),
        ),
    ]
