"""What properties owe each other for points redeemed elsewhere."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hotels', '0006_draft'),
        ("loyalty", "0081_reward_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SettlementItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('points', models.BigIntegerField(verbose_name='points')),
                ('amount', models.DecimalField(decimal_places=6, max_digits=20, verbose_name='amount')),
            ],
            options={
                'verbose_name': 'settlement item',
                'verbose_name_plural': 'settlement items',
            },
        ),
        migrations.CreateModel(
            name='SettlementLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('points', models.BigIntegerField(verbose_name='points')),
                ('amount', models.DecimalField(decimal_places=2, max_digits=18, verbose_name='amount')),
                ('payer_currency', models.CharField(max_length=3, verbose_name="payer's currency")),
                ('payer_rate', models.DecimalField(decimal_places=8, max_digits=18, null=True, verbose_name="payer's rate")),
                ('payer_amount', models.DecimalField(decimal_places=2, max_digits=18, null=True, verbose_name="payer's amount")),
                ('payee_currency', models.CharField(max_length=3, verbose_name="payee's currency")),
                ('payee_rate', models.DecimalField(decimal_places=8, max_digits=18, null=True, verbose_name="payee's rate")),
                ('payee_amount', models.DecimalField(decimal_places=2, max_digits=18, null=True, verbose_name="payee's amount")),
            ],
            options={
                'verbose_name': 'settlement line',
                'verbose_name_plural': 'settlement lines',
            },
        ),
        migrations.CreateModel(
            name='SettlementRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effective_from', models.DateField(verbose_name='effective from')),
                ('rate', models.DecimalField(blank=True, decimal_places=6, help_text="In the programme's currency. Empty: what the point cost the property that gave it.", max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='rate of a point')),
            ],
            options={
                'verbose_name': 'settlement rate',
                'verbose_name_plural': 'settlement rates',
            },
        ),
        migrations.CreateModel(
            name='SettlementRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('start_date', models.DateField(verbose_name='from')),
                ('end_date', models.DateField(verbose_name='ends before')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='closed at')),
            ],
            options={
                'verbose_name': 'settlement',
                'verbose_name_plural': 'settlements',
                'permissions': [('view_finance', 'Can see what points cost and who owes whom'), ('close_month', 'Can close a month')],
            },
        ),
        migrations.AddField(
            model_name='settlementitem',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.account', verbose_name='account'),
        ),
        migrations.AddField(
            model_name='settlementitem',
            name='payee',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='payee'),
        ),
        migrations.AddField(
            model_name='settlementitem',
            name='payer',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='payer'),
        ),
        migrations.AddField(
            model_name='settlementitem',
            name='posting',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.posting', verbose_name='posting'),
        ),
        migrations.AddField(
            model_name='settlementline',
            name='payee',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='payee'),
        ),
        migrations.AddField(
            model_name='settlementline',
            name='payer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='hotels.property', verbose_name='payer'),
        ),
        migrations.AddField(
            model_name='settlementrate',
            name='programme',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlement_rates', to='loyalty.programme', verbose_name='programme'),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='closed_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='closed by'),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='programme',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlements', to='loyalty.programme', verbose_name='programme'),
        ),
        migrations.AddField(
            model_name='settlementline',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='loyalty.settlementrun', verbose_name='settlement'),
        ),
        migrations.AddField(
            model_name='settlementitem',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='loyalty.settlementrun', verbose_name='settlement'),
        ),
        migrations.AddConstraint(
            model_name='settlementrate',
            constraint=models.UniqueConstraint(fields=('programme', 'effective_from'), name='loyalty_settlementrate_day_unique', violation_error_message='There is a settlement rate from this date already.'),
        ),
        migrations.AddConstraint(
            model_name='settlementrate',
            constraint=models.CheckConstraint(condition=models.Q(('rate', None), ('rate__gte', 0), _connector='OR'), name='loyalty_settlementrate_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.UniqueConstraint(fields=('programme', 'start_date'), name='loyalty_settlementrun_once_a_month', violation_error_message='This month has a settlement already.'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.CheckConstraint(condition=models.Q(('end_date__gt', models.F('start_date'))), name='loyalty_settlementrun_period'),
        ),
        migrations.AddConstraint(
            model_name='settlementline',
            constraint=models.UniqueConstraint(fields=('run', 'payer', 'payee'), name='loyalty_settlementline_once'),
        ),
        migrations.AddConstraint(
            model_name='settlementline',
            constraint=models.CheckConstraint(condition=models.Q(('payer', models.F('payee')), _negated=True), name='loyalty_settlementline_between_two'),
        ),
        migrations.AddIndex(
            model_name='settlementitem',
            index=models.Index(fields=['run', 'payer', 'payee', 'id'], name='loyalty_settlementitem_pair'),
        ),
        migrations.AddConstraint(
            model_name='settlementitem',
            constraint=models.UniqueConstraint(fields=('posting', 'payer', 'account'), name='loyalty_settlementitem_once'),
        ),
        migrations.AddConstraint(
            model_name='settlementitem',
            constraint=models.CheckConstraint(condition=models.Q(('payer', models.F('payee')), _negated=True), name='loyalty_settlementitem_between_two'),
        ),
    ]
