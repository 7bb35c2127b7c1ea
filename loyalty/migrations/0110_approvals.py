"""Limits, velocity rules, requests for approval, and the record of movements."""

import django.core.validators
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hotels', '0006_draft'),
        ("loyalty", "0103_postings_of_a_period"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ApprovalRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(choices=[('adjust', 'adjustment of points'), ('redeem', 'redemption'), ('cancel_redemption', 'cancellation of a redemption'), ('issue_voucher', 'issue of a voucher'), ('voucher_batch', 'batch of vouchers'), ('grant_tier', 'grant of a tier'), ('compensation', 'compensation'), ('transfer', 'transfer of points'), ('top_up', 'top-up'), ('top_up_refund', 'refund of a top-up')], max_length=20, verbose_name='movement')),
                ('value', models.DecimalField(decimal_places=2, max_digits=14, verbose_name='amount')),
                ('unit', models.CharField(max_length=6, verbose_name='unit')),
                ('payload', models.JSONField(verbose_name='content')),
                ('signature', models.CharField(editable=False, max_length=120)),
                ('subject', models.JSONField(default=dict, verbose_name='about')),
                ('grounds', models.JSONField(verbose_name='grounds')),
                ('reason', models.CharField(blank=True, max_length=300, verbose_name='reason')),
                ('requested_at', models.DateTimeField(verbose_name='requested at')),
                ('approver_role', models.CharField(choices=[('receptionist', 'receptionist'), ('guest_service', 'guest-service agent'), ('marketer', 'marketer'), ('property_manager', 'property manager'), ('group_manager', 'group manager'), ('auditor', 'auditor'), ('integration', 'integration client')], max_length=20, verbose_name='approved by')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('idempotency_key', models.CharField(max_length=200, verbose_name='request key')),
                ('state', models.CharField(choices=[('pending', 'waiting'), ('approved', 'approved and carried out'), ('refused', 'refused'), ('withdrawn', 'withdrawn'), ('expired', 'expired'), ('failed', 'approved, but no longer possible')], default='pending', max_length=10, verbose_name='state')),
                ('decided_at', models.DateTimeField(null=True, verbose_name='decided at')),
                ('note', models.CharField(blank=True, max_length=300, verbose_name='note')),
                ('reference', models.CharField(blank=True, max_length=80, verbose_name='posting')),
                ('failure', models.CharField(blank=True, max_length=300, verbose_name='failure')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('hold', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.hold', verbose_name='hold')),
                ('membership', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='approval_requests', to='loyalty.membership', verbose_name='membership')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.programme', verbose_name='programme')),
                ('property', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='property')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='requested by')),
            ],
            options={
                'verbose_name': 'approval request',
                'verbose_name_plural': 'approval requests',
                'permissions': [('decide_approval', 'Can approve and refuse movements above limits')],
            },
        ),
        migrations.CreateModel(
            name='DailyUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('adjust', 'adjustment of points'), ('redeem', 'redemption'), ('cancel_redemption', 'cancellation of a redemption'), ('issue_voucher', 'issue of a voucher'), ('voucher_batch', 'batch of vouchers'), ('grant_tier', 'grant of a tier'), ('compensation', 'compensation'), ('transfer', 'transfer of points'), ('top_up', 'top-up'), ('top_up_refund', 'refund of a top-up')], max_length=20, verbose_name='movement')),
                ('unit', models.CharField(max_length=6, verbose_name='unit')),
                ('day', models.DateField(verbose_name='day')),
                ('used', models.DecimalField(decimal_places=2, default=0, max_digits=14, verbose_name='used')),
                ('movements', models.PositiveIntegerField(default=0, verbose_name='movements')),
                ('day_limit', models.DecimalField(decimal_places=2, max_digits=14, null=True, verbose_name='limit per day')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.programme', verbose_name='programme')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who')),
            ],
            options={
                'verbose_name': 'daily use of limits',
                'verbose_name_plural': 'daily use of limits',
            },
        ),
        migrations.CreateModel(
            name='MovementRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('adjust', 'adjustment of points'), ('redeem', 'redemption'), ('cancel_redemption', 'cancellation of a redemption'), ('issue_voucher', 'issue of a voucher'), ('voucher_batch', 'batch of vouchers'), ('grant_tier', 'grant of a tier'), ('compensation', 'compensation'), ('transfer', 'transfer of points'), ('top_up', 'top-up'), ('top_up_refund', 'refund of a top-up')], max_length=20, verbose_name='movement')),
                ('value', models.DecimalField(decimal_places=2, max_digits=14, verbose_name='amount')),
                ('unit', models.CharField(max_length=6, verbose_name='unit')),
                ('limit', models.DecimalField(decimal_places=2, max_digits=14, null=True, verbose_name='limit per movement')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('counted_on', models.DateField(null=True, verbose_name='counted on')),
                ('idempotency_key', models.CharField(max_length=200, verbose_name='request key')),
                ('signature', models.CharField(editable=False, max_length=120)),
                ('reference', models.CharField(blank=True, max_length=80, verbose_name='posting')),
                ('flags', models.JSONField(default=list, verbose_name='grounds')),
                ('reviewed_at', models.DateTimeField(null=True, verbose_name='reviewed at')),
                ('review_note', models.CharField(blank=True, max_length=300, verbose_name='note')),
                ('actor', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who')),
                ('membership', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.membership', verbose_name='membership')),
                ('programme', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.programme', verbose_name='programme')),
                ('property', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='property')),
                ('request', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='movement', to='loyalty.approvalrequest', verbose_name='approval request')),
                ('reviewed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='reviewed by')),
            ],
            options={
                'verbose_name': 'movement',
                'verbose_name_plural': 'movements',
            },
        ),
        migrations.CreateModel(
            name='VelocityRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('check_code', models.CharField(choices=[('same_pair', 'same member of staff and same member'), ('near_limit', 'just under the limit'), ('after_phone_change', 'after a change of telephone'), ('member_count', 'many movements of one member'), ('own_account', 'own account')], max_length=20, verbose_name='check')),
                ('kind', models.CharField(blank=True, choices=[('adjust', 'adjustment of points'), ('redeem', 'redemption'), ('cancel_redemption', 'cancellation of a redemption'), ('issue_voucher', 'issue of a voucher'), ('voucher_batch', 'batch of vouchers'), ('grant_tier', 'grant of a tier'), ('compensation', 'compensation'), ('transfer', 'transfer of points'), ('top_up', 'top-up'), ('top_up_refund', 'refund of a top-up')], help_text='Empty: every movement.', max_length=20, verbose_name='movement')),
                ('count', models.PositiveSmallIntegerField(default=0, help_text='The next one in the time is held or marked. 0: the first one already.', verbose_name='allowed movements')),
                ('hours', models.PositiveSmallIntegerField(default=24, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2160)], verbose_name='within hours')),
                ('percent', models.PositiveSmallIntegerField(default=90, help_text='Only for “just under the limit”.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='from percent of the limit')),
                ('outcome', models.CharField(choices=[('hold', 'hold for approval'), ('flag', 'carry out and mark for review')], default='hold', max_length=8, verbose_name='outcome')),
                ('reviewer_role', models.CharField(choices=[('receptionist', 'receptionist'), ('guest_service', 'guest-service agent'), ('marketer', 'marketer'), ('property_manager', 'property manager'), ('group_manager', 'group manager'), ('auditor', 'auditor'), ('integration', 'integration client')], default='property_manager', max_length=20, verbose_name='reviewed by')),
                ('is_active', models.BooleanField(default=True, help_text='Off: from this date there is no such rule.', verbose_name='active')),
                ('effective_from', models.DateField(verbose_name='in force from')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='velocity_rules', to='loyalty.programme', verbose_name='programme')),
            ],
            options={
                'verbose_name': 'velocity rule',
                'verbose_name_plural': 'velocity rules',
                'ordering': ['programme', 'check_code', 'kind', '-effective_from', '-id'],
            },
        ),
        migrations.CreateModel(
            name='ApprovalLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('adjust', 'adjustment of points'), ('redeem', 'redemption'), ('cancel_redemption', 'cancellation of a redemption'), ('issue_voucher', 'issue of a voucher'), ('voucher_batch', 'batch of vouchers'), ('grant_tier', 'grant of a tier'), ('compensation', 'compensation'), ('transfer', 'transfer of points'), ('top_up', 'top-up'), ('top_up_refund', 'refund of a top-up')], max_length=20, verbose_name='movement')),
                ('role', models.CharField(choices=[('receptionist', 'receptionist'), ('guest_service', 'guest-service agent'), ('marketer', 'marketer'), ('property_manager', 'property manager'), ('group_manager', 'group manager'), ('auditor', 'auditor'), ('integration', 'integration client')], max_length=20, verbose_name='role')),
                ('unit', models.CharField(default='points', help_text='“points”, “times”, or a currency such as CNY.', max_length=6, verbose_name='unit')),
                ('per_movement', models.DecimalField(blank=True, decimal_places=2, help_text='Empty: no limit. 0: every movement needs an approval.', max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='limit per movement')),
                ('per_day', models.DecimalField(blank=True, decimal_places=2, help_text='Of one member of staff, all members together. Empty: no limit.', max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='limit per day')),
                ('approver_role', models.CharField(choices=[('receptionist', 'receptionist'), ('guest_service', 'guest-service agent'), ('marketer', 'marketer'), ('property_manager', 'property manager'), ('group_manager', 'group manager'), ('auditor', 'auditor'), ('integration', 'integration client')], help_text='This role or a higher one, but never who asked.', max_length=20, verbose_name='approved by')),
                ('effective_from', models.DateField(verbose_name='in force from')),
                ('brand', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.brand', verbose_name='brand')),
                ('programme', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='approval_limits', to='loyalty.programme', verbose_name='programme')),
                ('property', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property')),
            ],
            options={
                'verbose_name': 'approval limit',
                'verbose_name_plural': 'approval limits',
                'ordering': ['programme', 'kind', 'role', '-effective_from', '-id'],
                'constraints': [models.UniqueConstraint(fields=('programme', 'kind', 'unit', 'role', 'brand', 'property', 'effective_from'), name='loyalty_approvallimit_day_unique', nulls_distinct=False, violation_error_message='There is a limit from this date already.'), models.CheckConstraint(condition=models.Q(('kind__in', ['adjust', 'redeem', 'cancel_redemption', 'issue_voucher', 'voucher_batch', 'grant_tier', 'compensation', 'transfer', 'top_up', 'top_up_refund'])), name='loyalty_approvallimit_kind_known'), models.CheckConstraint(condition=models.Q(('role__in', ['receptionist', 'guest_service', 'marketer', 'property_manager', 'group_manager', 'auditor', 'integration'])), name='loyalty_approvallimit_role_known'), models.CheckConstraint(condition=models.Q(('approver_role__in', ['property_manager', 'group_manager'])), name='loyalty_approvallimit_approver_role_known', violation_error_message='Property managers and group managers approve.'), models.CheckConstraint(condition=models.Q(('unit__in', ['points', 'times']), ('unit__regex', '^[A-Z]{3}$'), _connector='OR'), name='loyalty_approvallimit_unit_known', violation_error_message='The unit is “points”, “times”, or a currency such as CNY.'), models.CheckConstraint(condition=models.Q(('brand__isnull', True), ('property__isnull', True), _connector='OR'), name='loyalty_approvallimit_one_scope', violation_error_message='Choose a brand or a property, not both.'), models.CheckConstraint(condition=models.Q(models.Q(('per_movement__isnull', True), ('per_movement__gte', 0), _connector='OR'), models.Q(('per_day__isnull', True), ('per_day__gte', 0), _connector='OR')), name='loyalty_approvallimit_not_negative', violation_error_message='A limit is zero or more.')],
            },
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['property', 'id'], name='loyalty_approval_queue'),
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['expires_at'], name='loyalty_approval_due'),
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['membership'], name='loyalty_approval_waiting'),
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=models.Index(fields=['requested_by', '-id'], name='loyalty_approval_own'),
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=models.Index(fields=['property', '-id'], name='loyalty_approval_of_place'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.UniqueConstraint(fields=('programme', 'kind', 'idempotency_key'), name='loyalty_approvalrequest_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['adjust', 'redeem', 'cancel_redemption', 'issue_voucher', 'voucher_batch', 'grant_tier', 'compensation', 'transfer', 'top_up', 'top_up_refund'])), name='loyalty_approvalrequest_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('decided_by__isnull', True), ('requested_by__isnull', True), models.Q(('decided_by', models.F('requested_by')), _negated=True), _connector='OR'), name='loyalty_approvalrequest_four_eyes', violation_error_message='Nobody decides about their own request.'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('approver_role__in', ['property_manager', 'group_manager'])), name='loyalty_approvalrequest_approver_role_known'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('decided_by', None), ('failure', ''), ('note', ''), ('reference', ''), ('state', 'pending')), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('failure', ''), ('state', 'approved')), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('reference', ''), ('state', 'refused'), models.Q(('note', ''), _negated=True)), models.Q(('decided_at__isnull', False), ('decided_by', None), ('reference', ''), ('state__in', ['withdrawn', 'expired'])), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('reference', ''), ('state', 'failed'), models.Q(('failure', ''), _negated=True)), _connector='OR'), name='loyalty_approvalrequest_state_legal'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('value__gte', 0)), name='loyalty_approvalrequest_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='dailyuse',
            constraint=models.UniqueConstraint(fields=('user', 'day', 'kind', 'unit', 'programme'), name='loyalty_dailyuse_one_a_day'),
        ),
        migrations.AddConstraint(
            model_name='dailyuse',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['adjust', 'redeem', 'cancel_redemption', 'issue_voucher', 'voucher_batch', 'grant_tier', 'compensation', 'transfer', 'top_up', 'top_up_refund'])), name='loyalty_dailyuse_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='dailyuse',
            constraint=models.CheckConstraint(condition=models.Q(('used__gte', 0), models.Q(('day_limit__isnull', True), ('used__lte', models.F('day_limit')), _connector='OR')), name='loyalty_dailyuse_within_limit', violation_error_message='The daily limit is used up.'),
        ),
        migrations.AddIndex(
            model_name='movementrecord',
            index=models.Index(fields=['membership', '-at'], name='loyalty_movement_of_member'),
        ),
        migrations.AddIndex(
            model_name='movementrecord',
            index=models.Index(fields=['actor', 'kind', '-at'], name='loyalty_movement_of_actor'),
        ),
        migrations.AddIndex(
            model_name='movementrecord',
            index=models.Index(condition=models.Q(models.Q(('flags', []), _negated=True), ('reviewed_at__isnull', True)), fields=['property', 'id'], name='loyalty_movement_marked'),
        ),
        migrations.AddConstraint(
            model_name='movementrecord',
            constraint=models.UniqueConstraint(fields=('programme', 'kind', 'idempotency_key'), name='loyalty_movementrecord_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='movementrecord',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['adjust', 'redeem', 'cancel_redemption', 'issue_voucher', 'voucher_batch', 'grant_tier', 'compensation', 'transfer', 'top_up', 'top_up_refund'])), name='loyalty_movementrecord_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='movementrecord',
            constraint=models.CheckConstraint(condition=models.Q(('value__gte', 0)), name='loyalty_movementrecord_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='movementrecord',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('review_note', ''), ('reviewed_at__isnull', True), ('reviewed_by__isnull', True)), models.Q(('reviewed_at__isnull', False), ('reviewed_by__isnull', False), models.Q(('flags', []), _negated=True)), _connector='OR'), name='loyalty_movementrecord_review_legal'),
        ),
        migrations.AddConstraint(
            model_name='movementrecord',
            constraint=models.CheckConstraint(condition=models.Q(('reviewed_by__isnull', True), ('actor__isnull', True), models.Q(('reviewed_by', models.F('actor')), _negated=True), _connector='OR'), name='loyalty_movementrecord_four_eyes', violation_error_message='Nobody reviews their own movement.'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.UniqueConstraint(fields=('programme', 'check_code', 'kind', 'effective_from'), name='loyalty_velocityrule_day_unique', violation_error_message='There is a rule from this date already.'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.CheckConstraint(condition=models.Q(('check_code__in', ['same_pair', 'near_limit', 'after_phone_change', 'member_count', 'own_account'])), name='loyalty_velocityrule_check_code_known'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.CheckConstraint(condition=models.Q(('kind', ''), ('kind__in', ['adjust', 'redeem', 'cancel_redemption', 'issue_voucher', 'voucher_batch', 'grant_tier', 'compensation', 'transfer', 'top_up', 'top_up_refund']), _connector='OR'), name='loyalty_velocityrule_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['hold', 'flag'])), name='loyalty_velocityrule_outcome_known'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.CheckConstraint(condition=models.Q(('reviewer_role__in', ['property_manager', 'group_manager'])), name='loyalty_velocityrule_reviewer_role_known', violation_error_message='Property managers and group managers approve.'),
        ),
        migrations.AddConstraint(
            model_name='velocityrule',
            constraint=models.CheckConstraint(condition=models.Q(('hours__gte', 1), ('hours__lte', 2160), ('percent__gte', 1), ('percent__lte', 100)), name='loyalty_velocityrule_in_range', violation_error_message='At most 90 days, and 1 to 100 percent.'),
        ),
    ]
