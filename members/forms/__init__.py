"""Forms of the staff pages, and the form field for conditions."""

from members.forms.conditions import ConditionField, ConditionWidget
from members.forms.desk import DateField, DeskForm, GuestFilterForm, PreferenceForm, ProfileForm, TagForm

__all__ = [
    "ConditionField",
    "ConditionWidget",
    "DateField",
    "DeskForm",
    "GuestFilterForm",
    "PreferenceForm",
    "ProfileForm",
    "TagForm",
]
