"""What is shown of the money behind the points, and of one member."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models import (
    Programme,
)
from members.forms import DateField

# This month and three years before it.
SHOWN_MONTHS = 37


class FinanceForm(forms.Form):
    """Which programme, month and property the reports of finance are about; sent in the address."""

    programme = forms.ChoiceField(label=pgettext_lazy("noun", "Programme"), required=False)
    month = forms.ChoiceField(label=_("Month"), required=False)
    property = forms.ChoiceField(label=_("Property"), required=False)

    def __init__(
        self, *args: Any, programmes: Sequence[Programme], places: Sequence[Property], now: dt.datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.programmes, self.places = programmes, places
        self.months = [programmes[0].local_date(now).replace(day=1)]
        while len(self.months) < SHOWN_MONTHS:
            self.months.append((self.months[-1] - dt.timedelta(days=1)).replace(day=1))
        choices = cast("dict[str, forms.ChoiceField]", self.fields)
        choices["programme"].choices = [(one.code, one.local_name) for one in programmes]
        choices["month"].choices = [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in self.months]
        choices["property"].choices = [("", _("all")), *((place.code, place.local_name) for place in places)]
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-select"

    def _asked(self, name: str) -> str:
        return str(getattr(self, "cleaned_data", {}).get(name) or "")

    @builtins.property
    def chosen_programme(self) -> Programme:
        """The one asked for, else the first."""
        return next((one for one in self.programmes if one.code == self._asked("programme")), self.programmes[0])

    @builtins.property
    def chosen_month(self) -> dt.date:
        """First day of the month asked for, else of the one before this."""
        return next((month for month in self.months if f"{month:%Y-%m}" == self._asked("month")), self.months[1])

    @builtins.property
    def chosen_property(self) -> Property | None:
        """The property asked for."""
        return next((place for place in self.places if place.code == self._asked("property")), None)

    @builtins.property
    def shown(self) -> list[tuple[str, Any, str]]:
        """Name, choices and present value of each filter that has something to choose from."""
        present = {
            "programme": self.chosen_programme.code,
            "month": f"{self.chosen_month:%Y-%m}",
            "property": self.chosen_property.code if self.chosen_property else "",
        }
        choices = cast("dict[str, forms.ChoiceField]", self.fields)
        return [
            (name, list(cast("Iterable[Any]", choices[name].choices)), value)
            for name, value in present.items()
            if name != "programme" or len(self.programmes) > 1
        ]

    @builtins.property
    def query(self) -> dict[str, str]:
        """What is asked, for addresses of other pages."""
        asked = {"month": f"{self.chosen_month:%Y-%m}"}
        if self.chosen_property:
            asked["property"] = self.chosen_property.code
        if len(self.programmes) > 1:
            asked["programme"] = self.chosen_programme.code
        return asked


class FinanceRowsForm(forms.Form):
    """Which rows behind a figure of finance; the addresses come from the reports."""

    of = forms.ChoiceField(choices=[(kind, kind) for kind in ("moves", "lots", "settled", "rule")])
    programme = forms.CharField(required=False)
    start = forms.DateField(required=False)
    end = forms.DateField(required=False)
    on = forms.DateField(required=False)
    part = forms.CharField(required=False)
    unit = forms.CharField(required=False)
    month = forms.DateField(required=False)
    property = forms.CharField(required=False)
    payer = forms.CharField(required=False)
    payee = forms.CharField(required=False)
    rule = forms.CharField(required=False)
    after = forms.IntegerField(required=False, min_value=0)

    def __init__(self, *args: Any, places: Sequence[Property], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = places
        self.chosen_property: Property | None = None

    def clean(self) -> dict[str, Any]:
        """Bring the days of each kind to a first day and the day after the last."""
        data = super().clean() or {}
        start, end, on = data.get("start"), data.get("end"), data.get("on")
        if data.get("of") == "lots" and on:
            start = end = on + dt.timedelta(days=1)
        elif start and not end:
            end = (start.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        if not start or not end or end < start:
            raise forms.ValidationError(_("Say which days."))
        asked = {name: data[name] for name in ("part", "unit", "month", "payer", "payee", "rule") if data.get(name)}
        code = data.get("property")
        self.chosen_property = next((place for place in self.places if place.code == code), None)
        if code == "-":
            asked["property"] = 0
        elif code:
            # What is not the reader's has no rows.
            asked["property"] = self.chosen_property.pk if self.chosen_property else -1
        return {**data, "start": start, "end": end, "asked": asked}


class StatementForm(forms.Form):
    """From which day to which; by default this year so far."""

    start = DateField(label=_("From day"), required=False)
    last = DateField(label=_("To day"), required=False)

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"

    def clean(self) -> dict[str, Any]:
        """Fill in what was left out."""
        data = super().clean() or {}
        last = data.get("last") or self.today
        start = data.get("start") or last.replace(month=1, day=1)
        if start > last and not self.errors:
            self.add_error("last", _("The last day lies before the first."))
        return {**data, "start": start, "last": last}
