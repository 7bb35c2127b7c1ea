"""The catalogue: prices, ratios, stock, limits, blackouts; states of redemptions and their history."""

import datetime as dt
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.ranges
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.comparison
import loyalty.models.reward
from django.conf import settings
from django.db import migrations, models


# A set of weekdays as a number, for the constraint that no option is priced twice: btree_gist knows no arrays.
WEEKDAYS = """
CREATE FUNCTION loyalty_weekdays(p_days smallint[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (CASE WHEN 1 = ANY (p_days) THEN 1 ELSE 0 END) + (CASE WHEN 2 = ANY (p_days) THEN 2 ELSE 0 END)
    + (CASE WHEN 3 = ANY (p_days) THEN 4 ELSE 0 END) + (CASE WHEN 4 = ANY (p_days) THEN 8 ELSE 0 END)
    + (CASE WHEN 5 = ANY (p_days) THEN 16 ELSE 0 END) + (CASE WHEN 6 = ANY (p_days) THEN 32 ELSE 0 END)
    + (CASE WHEN 7 = ANY (p_days) THEN 64 ELSE 0 END);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('hotels', '0006_draft'),
        ('loyalty', '0061_benefit_quantity_given'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(WEEKDAYS, "DROP FUNCTION loyalty_weekdays"),
        migrations.CreateModel(
            name='ExchangeRatio',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category', models.CharField(blank=True, choices=[('room_night', 'room night'), ('upgrade', 'room upgrade'), ('late_checkout', 'late check-out'), ('food', 'food and drink'), ('spa', 'spa'), ('transfer', 'transfer'), ('goods', 'goods'), ('partner_card', 'partner card')], help_text='Empty: all.', max_length=20, verbose_name='category')),
                ('effective_from', models.DateField(verbose_name='effective from')),
                ('points_per_unit', models.DecimalField(decimal_places=4, max_digits=10, validators=[django.core.validators.MinValueValidator(0)], verbose_name='points for one unit of money')),
                ('round_to', models.PositiveIntegerField(default=1, help_text='Such as full hundreds.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='rounded up to')),
            ],
            options={
                'verbose_name': 'exchange ratio',
                'verbose_name_plural': 'exchange ratios',
                'ordering': ['programme', 'category', 'property', '-effective_from'],
            },
        ),
        migrations.CreateModel(
            name='RedemptionEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('redeemed', 'redeemed'), ('fulfilled', 'fulfilled'), ('reopened', 'fulfillment taken back'), ('canceled', 'canceled'), ('expired', 'expired'), ('no_show', 'no-show')], max_length=10, verbose_name='kind')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('reason', models.CharField(blank=True, max_length=300, verbose_name='reason or note')),
            ],
            options={
                'verbose_name': 'entry of a redemption',
                'verbose_name_plural': 'entries of redemptions',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='RewardBlackout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_date', models.DateField(verbose_name='from')),
                ('last_date', models.DateField(verbose_name='to (included)')),
            ],
            options={
                'verbose_name': 'blackout',
                'verbose_name_plural': 'blackouts',
                'ordering': ['first_date', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RewardLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('all', 'all properties together'), ('property', 'each property'), ('member', 'each member')], max_length=8, verbose_name='for')),
                ('period', models.CharField(choices=[('day', 'a day'), ('week', 'a week'), ('month', 'a month'), ('year', 'a year'), ('lifetime', 'in all')], max_length=8, verbose_name='period')),
                ('maximum', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)], verbose_name='at most')),
            ],
            options={
                'verbose_name': 'limit',
                'verbose_name_plural': 'limits',
                'ordering': ['reward', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RewardPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('points', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)], verbose_name='points')),
                ('cash', models.DecimalField(decimal_places=2, default=0, max_digits=12, validators=[django.core.validators.MinValueValidator(0)], verbose_name='and money')),
                ('currency', models.CharField(blank=True, max_length=3, validators=[django.core.validators.RegexValidator('^[A-Z]{3}$', 'Use the three-letter ISO 4217 code, such as CNY.')], verbose_name='currency')),
                ('effective_from', models.DateField(help_text='By the day of the redemption, so that a new price can be set ahead.', verbose_name='redeemed from')),
                ('effective_until', models.DateField(blank=True, null=True, verbose_name='redeemed until (not included)')),
                ('first_date', models.DateField(blank=True, help_text='By the day it is for, such as the night.', null=True, verbose_name='for days from')),
                ('last_date', models.DateField(blank=True, null=True, verbose_name='to (included)')),
                ('weekdays', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), blank=True, default=list, size=None, verbose_name='days of the week')),
            ],
            options={
                'verbose_name': 'price',
                'verbose_name_plural': 'prices',
                'ordering': ['reward', 'effective_from', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RewardStock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('total', models.PositiveIntegerField(verbose_name='in all')),
                ('taken', models.PositiveIntegerField(default=0, editable=False, verbose_name='taken')),
            ],
            options={
                'verbose_name': 'stock',
                'verbose_name_plural': 'stock',
                'ordering': ['reward', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RewardUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('all', 'all properties together'), ('property', 'each property'), ('member', 'each member')], max_length=8, verbose_name='for')),
                ('period', models.CharField(choices=[('day', 'a day'), ('week', 'a week'), ('month', 'a month'), ('year', 'a year'), ('lifetime', 'in all')], max_length=8, verbose_name='period')),
                ('period_start', models.DateField(null=True, verbose_name='from')),
                ('used', models.PositiveIntegerField(default=0, verbose_name='used')),
                ('maximum', models.PositiveIntegerField(verbose_name='at most')),
            ],
            options={
                'verbose_name': 'use of a limit',
                'verbose_name_plural': 'uses of limits',
            },
        ),
        migrations.AlterModelOptions(
            name='redemption',
            options={'permissions': [('fulfil_redemption', 'Can fulfill redemptions'), ('override_redemption', 'Can cancel redemptions against the rules')], 'verbose_name': 'redemption', 'verbose_name_plural': 'redemptions'},
        ),
        migrations.RemoveConstraint(
            model_name='redemption',
            name='loyalty_redemption_status_known',
        ),
        migrations.RemoveConstraint(
            model_name='reward',
            name='loyalty_reward_category_known',
        ),
        migrations.AddField(
            model_name='redemption',
            name='cash',
            field=models.DecimalField(decimal_places=2, default=0, max_digits=12, verbose_name='and money'),
        ),
        migrations.AddField(
            model_name='redemption',
            name='currency',
            field=models.CharField(blank=True, max_length=3, verbose_name='currency'),
        ),
        migrations.AddField(
            model_name='redemption',
            name='for_date',
            field=models.DateField(default=dt.date(2000, 1, 1), verbose_name='for the day'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='redemption',
            name='fulfilled_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='fulfilled at'),
        ),
        migrations.AddField(
            model_name='redemption',
            name='note',
            field=models.CharField(blank=True, max_length=200, verbose_name='note'),
        ),
        migrations.AddField(
            model_name='redemption',
            name='quantity',
            field=models.PositiveSmallIntegerField(default=1, verbose_name='quantity'),
        ),
        migrations.AddField(
            model_name='redemption',
            name='stock_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, editable=False, size=None),
        ),
        migrations.AddField(
            model_name='redemption',
            name='use_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, editable=False, size=None),
        ),
        migrations.AddField(
            model_name='redemption',
            name='vouchers',
            field=models.ManyToManyField(blank=True, related_name='redemptions', to='loyalty.voucher', verbose_name='vouchers'),
        ),
        migrations.AddField(
            model_name='reward',
            name='brands',
            field=models.ManyToManyField(blank=True, related_name='+', to='hotels.brand', verbose_name='brands'),
        ),
        migrations.AddField(
            model_name='reward',
            name='cancel_hours',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Before the beginning of its day. Empty: until it is fulfilled.', null=True, verbose_name='can be canceled until hours before'),
        ),
        migrations.AddField(
            model_name='reward',
            name='cash_value',
            field=models.DecimalField(blank=True, decimal_places=2, help_text="With a value, the price follows the exchange ratio in force, in the programme's currency.", max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='value in money'),
        ),
        migrations.AddField(
            model_name='reward',
            name='description',
            field=models.TextField(blank=True, max_length=1000, verbose_name='description (Chinese)'),
        ),
        migrations.AddField(
            model_name='reward',
            name='description_en',
            field=models.TextField(blank=True, max_length=1000, verbose_name='description (English)'),
        ),
        migrations.AddField(
            model_name='reward',
            name='fulfilment',
            field=models.CharField(choices=[('later', 'given later, by whoever is in charge'), ('at_once', 'given with the redemption')], default='later', max_length=8, verbose_name='fulfillment'),
        ),
        migrations.AddField(
            model_name='reward',
            name='lead_hours',
            field=models.PositiveSmallIntegerField(default=0, help_text='How long before the beginning of its day it has to be redeemed.', verbose_name='hours ahead'),
        ),
        migrations.AddField(
            model_name='reward',
            name='min_tier',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.tier', verbose_name='from tier'),
        ),
        migrations.AddField(
            model_name='reward',
            name='open_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='What nobody asked for so many days after its day expires. Empty: it is kept.', null=True, verbose_name='kept for days'),
        ),
        migrations.AddField(
            model_name='reward',
            name='picture',
            field=models.FileField(blank=True, help_text='PNG, JPEG or WebP of at most 2 MB; 4:3 looks best.', upload_to=loyalty.models.reward.picture_path, validators=[loyalty.models.reward.validate_picture], verbose_name='picture'),
        ),
        migrations.AddField(
            model_name='reward',
            name='properties',
            field=models.ManyToManyField(blank=True, help_text='Neither properties nor brands: everywhere.', related_name='+', to='hotels.property', verbose_name='properties'),
        ),
        migrations.AddField(
            model_name='reward',
            name='valid_from',
            field=models.DateField(blank=True, null=True, verbose_name='offered from'),
        ),
        migrations.AddField(
            model_name='reward',
            name='valid_until',
            field=models.DateField(blank=True, null=True, verbose_name='offered until (not included)'),
        ),
        migrations.AddField(
            model_name='reward',
            name='voucher_type',
            field=models.ForeignKey(blank=True, help_text='The voucher is issued with the redemption; with that, the redemption is fulfilled.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='loyalty.vouchertype', verbose_name='gives a voucher'),
        ),
        migrations.AlterField(
            model_name='redemption',
            name='status',
            field=models.CharField(choices=[('redeemed', 'to be fulfilled'), ('fulfilled', 'fulfilled'), ('canceled', 'canceled'), ('expired', 'expired'), ('no_show', 'no-show')], default='redeemed', max_length=10, verbose_name='status'),
        ),
        migrations.AlterField(
            model_name='reward',
            name='category',
            field=models.CharField(choices=[('room_night', 'room night'), ('upgrade', 'room upgrade'), ('late_checkout', 'late check-out'), ('food', 'food and drink'), ('spa', 'spa'), ('transfer', 'transfer'), ('goods', 'goods'), ('partner_card', 'partner card')], max_length=20, verbose_name='category'),
        ),
        migrations.AlterField(
            model_name='reward',
            name='points',
            field=models.PositiveIntegerField(help_text='The price where no row of prices below says otherwise.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='points'),
        ),
        migrations.AddIndex(
            model_name='redemption',
            index=models.Index(condition=models.Q(('status', 'redeemed')), fields=['property', 'for_date', 'id'], name='loyalty_redemption_open'),
        ),
        migrations.AddIndex(
            model_name='redemption',
            index=models.Index(fields=['property', '-for_date', '-id'], name='loyalty_redemption_of_place'),
        ),
        migrations.AddIndex(
            model_name='redemption',
            index=models.Index(fields=['reward', 'for_date'], name='loyalty_redemption_demand'),
        ),
        migrations.AddConstraint(
            model_name='redemption',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='loyalty_redemption_quantity_positive'),
        ),
        migrations.AddConstraint(
            model_name='redemption',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cash', 0), ('currency', '')), models.Q(('cash__gt', 0), ('currency__regex', '^[A-Z]{3}$')), _connector='OR'), name='loyalty_redemption_currency_given'),
        ),
        migrations.AddConstraint(
            model_name='redemption',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['redeemed', 'fulfilled', 'canceled', 'expired', 'no_show'])), name='loyalty_redemption_status_known'),
        ),
        migrations.AddConstraint(
            model_name='reward',
            constraint=models.CheckConstraint(condition=models.Q(('category__in', ['room_night', 'upgrade', 'late_checkout', 'food', 'spa', 'transfer', 'goods', 'partner_card'])), name='loyalty_reward_category_known'),
        ),
        migrations.AddConstraint(
            model_name='reward',
            constraint=models.CheckConstraint(condition=models.Q(('fulfilment__in', ['later', 'at_once'])), name='loyalty_reward_fulfilment_known'),
        ),
        migrations.AddConstraint(
            model_name='reward',
            constraint=models.CheckConstraint(condition=models.Q(('cash_value__isnull', True), ('cash_value__gt', 0), _connector='OR'), name='loyalty_reward_value_positive', violation_error_message='A value is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='reward',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from__isnull', True), ('valid_until__isnull', True), ('valid_until__gt', models.F('valid_from')), _connector='OR'), name='loyalty_reward_days_ordered', violation_error_message='The end is not after the beginning.'),
        ),
        migrations.AddField(
            model_name='exchangeratio',
            name='programme',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ratios', to='loyalty.programme', verbose_name='programme'),
        ),
        migrations.AddField(
            model_name='exchangeratio',
            name='property',
            field=models.ForeignKey(blank=True, help_text='Empty: all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property'),
        ),
        migrations.AddField(
            model_name='redemptionevent',
            name='actor',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who'),
        ),
        migrations.AddField(
            model_name='redemptionevent',
            name='redemption',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='loyalty.redemption', verbose_name='redemption'),
        ),
        migrations.AddField(
            model_name='rewardblackout',
            name='property',
            field=models.ForeignKey(blank=True, help_text='Empty: all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property'),
        ),
        migrations.AddField(
            model_name='rewardblackout',
            name='reward',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='blackouts', to='loyalty.reward', verbose_name='reward'),
        ),
        migrations.AddField(
            model_name='rewardlimit',
            name='reward',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='limits', to='loyalty.reward', verbose_name='reward'),
        ),
        migrations.AddField(
            model_name='rewardprice',
            name='brand',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.brand', verbose_name='brand'),
        ),
        migrations.AddField(
            model_name='rewardprice',
            name='property',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property'),
        ),
        migrations.AddField(
            model_name='rewardprice',
            name='reward',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prices', to='loyalty.reward', verbose_name='reward'),
        ),
        migrations.AddField(
            model_name='rewardstock',
            name='property',
            field=models.ForeignKey(blank=True, help_text='Empty: of all properties together.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property'),
        ),
        migrations.AddField(
            model_name='rewardstock',
            name='reward',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='stock', to='loyalty.reward', verbose_name='reward'),
        ),
        migrations.AddField(
            model_name='rewarduse',
            name='membership',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='loyalty.membership', verbose_name='membership'),
        ),
        migrations.AddField(
            model_name='rewarduse',
            name='property',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='hotels.property', verbose_name='property'),
        ),
        migrations.AddField(
            model_name='rewarduse',
            name='reward',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='uses', to='loyalty.reward', verbose_name='reward'),
        ),
        migrations.AddConstraint(
            model_name='exchangeratio',
            constraint=models.UniqueConstraint(fields=('programme', 'category', 'property', 'effective_from'), name='loyalty_exchangeratio_day_unique', nulls_distinct=False, violation_error_message='There is a ratio from this date already.'),
        ),
        migrations.AddConstraint(
            model_name='exchangeratio',
            constraint=models.CheckConstraint(condition=models.Q(('category', ''), ('category__in', ['room_night', 'upgrade', 'late_checkout', 'food', 'spa', 'transfer', 'goods', 'partner_card']), _connector='OR'), name='loyalty_exchangeratio_category_known'),
        ),
        migrations.AddConstraint(
            model_name='exchangeratio',
            constraint=models.CheckConstraint(condition=models.Q(('points_per_unit__gt', 0)), name='loyalty_exchangeratio_positive', violation_error_message='A ratio is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='exchangeratio',
            constraint=models.CheckConstraint(condition=models.Q(('round_to__gt', 0)), name='loyalty_exchangeratio_rounding_positive'),
        ),
        migrations.AddConstraint(
            model_name='redemptionevent',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['redeemed', 'fulfilled', 'reopened', 'canceled', 'expired', 'no_show'])), name='loyalty_redemptionevent_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='rewardblackout',
            constraint=models.CheckConstraint(condition=models.Q(('last_date__gte', models.F('first_date'))), name='loyalty_rewardblackout_days_ordered', violation_error_message='The last day is before the first.'),
        ),
        migrations.AddConstraint(
            model_name='rewardlimit',
            constraint=models.UniqueConstraint(fields=('reward', 'scope', 'period'), name='loyalty_rewardlimit_unique', violation_error_message='There is such a limit already.'),
        ),
        migrations.AddConstraint(
            model_name='rewardlimit',
            constraint=models.CheckConstraint(condition=models.Q(('scope__in', ['all', 'property', 'member'])), name='loyalty_rewardlimit_scope_known'),
        ),
        migrations.AddConstraint(
            model_name='rewardlimit',
            constraint=models.CheckConstraint(condition=models.Q(('period__in', ['day', 'week', 'month', 'year', 'lifetime'])), name='loyalty_rewardlimit_period_known'),
        ),
        migrations.AddConstraint(
            model_name='rewardlimit',
            constraint=models.CheckConstraint(condition=models.Q(('maximum__gt', 0)), name='loyalty_rewardlimit_positive', violation_error_message='A limit is at least one.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(('points__gt', 0)), name='loyalty_rewardprice_costs_points', violation_error_message='A reward costs at least one point.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cash', 0), ('currency', '')), models.Q(('cash__gt', 0), ('currency__regex', '^[A-Z]{3}$')), _connector='OR'), name='loyalty_rewardprice_currency_given', violation_error_message='Money needs a currency, and a price in points alone has none.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(('effective_until__isnull', True), ('effective_until__gt', models.F('effective_from')), _connector='OR'), name='loyalty_rewardprice_validity_ordered', violation_error_message='The end is not after the beginning.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(('first_date__isnull', True), ('last_date__isnull', True), ('last_date__gte', models.F('first_date')), _connector='OR'), name='loyalty_rewardprice_days_ordered', violation_error_message='The last day is before the first.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(('weekdays__contained_by', [1, 2, 3, 4, 5, 6, 7])), name='loyalty_rewardprice_weekdays_known'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=models.CheckConstraint(condition=models.Q(('property__isnull', True), ('brand__isnull', True), _connector='OR'), name='loyalty_rewardprice_one_place', violation_error_message='Choose a property or a brand, not both.'),
        ),
        migrations.AddConstraint(
            model_name='rewardprice',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(expressions=[('reward', '='), (django.db.models.functions.comparison.Coalesce('property', 0), '='), (django.db.models.functions.comparison.Coalesce('brand', 0), '='), (models.Func(models.F('weekdays'), function='loyalty_weekdays', output_field=models.IntegerField()), '='), ('cash', '='), ('currency', '='), (models.Func(models.F('effective_from'), models.F('effective_until'), function='daterange', output_field=django.contrib.postgres.fields.ranges.DateRangeField()), '&&'), (models.Func(models.F('first_date'), models.F('last_date'), models.Value('[]'), function='daterange', output_field=django.contrib.postgres.fields.ranges.DateRangeField()), '&&')], name='loyalty_rewardprice_no_overlap', violation_error_message='There is such a price for some of these days already.'),
        ),
        migrations.AddConstraint(
            model_name='rewardstock',
            constraint=models.UniqueConstraint(fields=('reward', 'property'), name='loyalty_rewardstock_place_unique', nulls_distinct=False, violation_error_message='This stock is counted already.'),
        ),
        migrations.AddConstraint(
            model_name='rewardstock',
            constraint=models.CheckConstraint(condition=models.Q(('taken__gte', 0), ('taken__lte', models.F('total'))), name='loyalty_rewardstock_not_below_zero', violation_error_message='More than these were taken already.'),
        ),
        migrations.AddConstraint(
            model_name='rewarduse',
            constraint=models.UniqueConstraint(fields=('reward', 'scope', 'property', 'membership', 'period', 'period_start'), name='loyalty_rewarduse_unique', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='rewarduse',
            constraint=models.CheckConstraint(condition=models.Q(('scope__in', ['all', 'property', 'member'])), name='loyalty_rewarduse_scope_known'),
        ),
        migrations.AddConstraint(
            model_name='rewarduse',
            constraint=models.CheckConstraint(condition=models.Q(('period__in', ['day', 'week', 'month', 'year', 'lifetime'])), name='loyalty_rewarduse_period_known'),
        ),
        migrations.AddConstraint(
            model_name='rewarduse',
            constraint=models.CheckConstraint(condition=models.Q(('used__gte', 0), ('used__lte', models.F('maximum'))), name='loyalty_rewarduse_within_maximum'),
        ),
    ]
