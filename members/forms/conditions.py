"""A form field for a condition tree, and the builder that writes it.

    class RuleForm(forms.ModelForm[Rule]):
        conditions = ConditionField(target="stay", label=_("conditions"), required=False)

It serves the admin and staff pages alike; a page outside the admin puts `{{ form.media }}` into its
head. Without JavaScript the tree is written as text. Not for rows that a page adds by itself, such as
empty rows of inlines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from members.rules.conditions import EVERYTHING, ChoiceLists, Field, InvalidCondition, Kind, parse, read, tree_of
from members.rules.conditions.draft import Group, Row, complete_operators, draft_from, draft_of, tree_from
from members.rules.conditions.fields import SHAPES, Shape, located_fields
from members.rules.conditions.sentence import OPERATOR_LABELS, sentence

SAFE_NAME = re.compile(r"[A-Za-z_][\w-]{0,99}", re.ASCII)
# Deeper groups are shown, but not offered: nobody reads them.
OFFERED_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Option:
    """One line of a list to choose from."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class RowView:
    """What a row's template shows; `input` names the sort of value it asks for."""

    path: str
    number: str
    prefix: str
    id: str
    fields: list[tuple[str, list[Option]]]
    operators: list[Option]
    input: str
    values: list[str]
    options: list[Option]
    unit: str
    raw: str
    problem: str = ""
    # What the problem is about: field, op or value.
    part: str = ""
    is_group: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class GroupView:
    """What a group's template shows."""

    path: str
    number: str
    prefix: str
    id: str
    modes: list[Option]
    parts: list[RowView | GroupView]
    may_nest: bool
    problem: str = ""
    is_group: bool = field(default=True, init=False)


class _Painter:
    """Turns one draft into what the templates show; every list of choices is read once."""

    def __init__(self, *, draft: Group, target: str, name: str, element_id: str, shows_errors: bool) -> None:
        self.target, self.name, self.element_id = target, name, element_id
        self.located = located_fields(target)
        self.choices = ChoiceLists()
        self.problems: dict[str, tuple[str, str]] = {}
        tree, places = tree_from(draft, target)
        self.words = capfirst(sentence(read(tree, target), choices=self.choices))
        if shows_errors:
            for path, message in _problems(tree, target, self.choices):
                self.problems.setdefault(places.get(path, ""), (message, path.rpartition(".")[2]))

    def group(self, group: Group, path: str = "", depth: int = 1) -> GroupView:
        modes = {"all": _("all of these"), "any": _("any of these"), "none": _("none of these")}
        if group.mode == "not_all":
            modes["not_all"] = _("not all of these")
        parts: list[RowView | GroupView] = []
        for index, part in enumerate(group.parts):
            below = f"{path}.{index}" if path else str(index)
            parts.append(self.group(part, below, depth + 1) if isinstance(part, Group) else self.row(part, below))
        return GroupView(
            path=path,
            number=_number(path),
            prefix=f"{self.name}-{path}",
            id=self._id(path),
            modes=[Option(mode, label, mode == group.mode) for mode, label in modes.items()],
            parts=parts,
            may_nest=depth < OFFERED_DEPTH,
            problem=self.problems.get(path, ("", ""))[0],
        )

    def row(self, row: Row, path: str) -> RowView:
        asked = self.located[row.name][0] if row.name in self.located else None
        problem, part = self.problems.get(path, ("", ""))
        shown = _input_of(asked, row.op)
        return RowView(
            path=path,
            number=_number(path),
            prefix=f"{self.name}-{path}",
            id=self._id(path),
            fields=self._fields(row),
            operators=[Option(op, str(OPERATOR_LABELS[op]), op == row.op) for op in (asked.operators if asked else ())],
            input=shown,
            values=_shown_values(row.values, shown),
            options=self._options(asked, row, shown),
            unit=str(asked.unit) if asked and SHAPES.get(row.op) is not Shape.DAYS else "",
            raw=row.raw,
            problem=problem,
            part=part,
        )

    def _id(self, path: str) -> str:
        return f"{self.element_id}_{path.replace('.', '_')}" if path else self.element_id

    def _fields(self, row: Row) -> list[tuple[str, list[Option]]]:
        groups: dict[str, list[Option]] = {}
        for name, (asked, _prefix) in self.located.items():
            option = Option(name, capfirst(str(asked.label)), name == row.name)
            groups.setdefault(str(asked.group), []).append(option)
        if row.name and row.name not in self.located:
            gone = Option(row.name, _("unknown condition (%(name)s)") % {"name": row.name}, is_chosen=True)
            groups[""] = [gone, *groups.get("", [])]
        return list(groups.items())

    def _options(self, asked: Field | None, row: Row, shown: str) -> list[Option]:
        if asked is None or shown not in {"choice", "choices"}:
            return []
        if asked.kind == Kind.BOOLEAN:
            labels: Mapping[str, Any] = {
                "true": asked.when_true or _("yes"),
                "false": asked.when_false or _("no"),
            }
        else:
            labels = self.choices.of(asked)
        gone = [value for value in row.values if value and value not in labels]
        return [
            Option(value, capfirst(str(label)), value in row.values)
            for value, label in [*labels.items(), *((value, value) for value in gone)]
        ]


def _problems(tree: object, target: str, choices: ChoiceLists) -> list[tuple[str, str]]:
    try:
        parse(tree, target, choices=choices)
    except InvalidCondition as invalid:
        return [(path, message) for path, _code, message in invalid.errors]
    return []


def _number(path: str) -> str:
    """The place as a person counts: `0.1` is condition 1.2."""
    return ".".join(str(int(step) + 1) for step in path.split(".")) if path else ""


def _input_of(asked: Field | None, op: str) -> str:
    """The sort of input that a comparison needs; empty for none."""
    if asked is None or op not in asked.operators:
        return ""
    shape = SHAPES[op]
    if shape is Shape.NOTHING:
        return ""
    if shape is Shape.DAYS:
        return "days"
    if asked.is_listed or asked.kind == Kind.BOOLEAN:
        return "choices" if shape is Shape.SEVERAL else "choice"
    if shape is Shape.SEVERAL:
        return "lines"
    plain = {Kind.DATE: "date", Kind.TEXT: "text", Kind.NUMBER: "number", Kind.MONEY: "money"}[Kind(asked.kind)]
    return f"{plain}_pair" if shape is Shape.PAIR else plain


def _shown_values(values: list[str], shown: str) -> list[str]:
    if shown == "lines":
        return ["\n".join(values)]
    wanted = 2 if shown.endswith("_pair") else 1
    return [*values, "", ""][:wanted]


def builder_context(
    *, draft: Group, target: str, name: str, element_id: str, shows_errors: bool = False, focus: str | None = None
) -> dict[str, Any]:
    """What the builder's template needs.

    Args:
        draft: What is to be shown.
        target: What the tree judges.
        name: The form field's name with its prefix; the inputs begin with it.
        element_id: The id that the field's label points to.
        shows_errors: Whether rows say what is wrong with them.
        focus: Path of the row or group that gets the focus; None leaves it where it is.
    """
    complete_operators(draft.parts, target)
    painter = _Painter(draft=draft, target=target, name=name, element_id=element_id, shows_errors=shows_errors)
    return {
        "root": painter.group(draft),
        "words": painter.words,
        "name": name,
        "target": target,
        "element_id": element_id,
        "url": reverse("members:condition_builder"),
        "focus": focus,
        "values": json.dumps(
            {"conditions-name": name, "conditions-target": target, "conditions-id": element_id}, ensure_ascii=True
        ),
    }


class ConditionWidget(forms.Widget):
    """The builder, with the tree as text for browsers without JavaScript."""

    def __init__(self, target: str, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.target = target

    class Media:
        css = {"all": ["app/conditions.css"]}
        js = ["app/conditions.js"]

    def format_value(self, value: object) -> Any:
        """As it is: a tree, or what the browser sent."""
        return value

    def value_from_datadict(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> Any:  # noqa: ARG002
        """A draft from the builder, or the text of the tree."""
        if f"{name}--mode" in data:
            return draft_from(data, name)
        return data.get(name)

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:  # noqa: ARG002
        """Whether the page did not hold the field at all."""
        return name not in data and f"{name}--mode" not in data

    def render(
        self,
        name: str,
        value: object,
        attrs: Mapping[str, Any] | None = None,
        renderer: object = None,  # noqa: ARG002
    ) -> SafeString:
        """The whole field; a draft that a browser sent is shown with what is wrong with it."""
        text = value if isinstance(value, str) else ""
        if isinstance(value, Group):
            draft = value
            tree: object = tree_from(draft, self.target)[0]
        else:
            tree = _decoded(text) if text else value if isinstance(value, Mapping) else EVERYTHING
            draft = draft_of(tree)
        context = builder_context(
            draft=draft,
            target=self.target,
            name=name,
            element_id=str((attrs or {}).get("id") or f"id_{name}"),
            shows_errors=isinstance(value, Group | str),
        )
        shown = text or json.dumps(tree, ensure_ascii=False, indent=2)
        return mark_safe(render_to_string("members/conditions/widget.html", {**context, "text": shown}))  # noqa: S308


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return EVERYTHING


class ConditionField(forms.Field):
    """A tree for a target; cleans to its JSON, `{"all": []}` where nothing is asked.

    Errors have the codes of `parse`, and their `params` hold the `path` of the row.
    """

    widget: ConditionWidget

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        self.target = target
        kwargs.setdefault("required", False)
        super().__init__(widget=ConditionWidget(target), **kwargs)

    def clean(self, value: object) -> dict[str, Any]:
        """The tree in its stored form.

        Raises:
            ValidationError: Something is wrong, each with the number of its row; or nothing is asked of a
                required field.
        """
        places: dict[str, str] = {}
        if isinstance(value, Group):
            tree: object
            tree, places = tree_from(value, self.target)
        elif isinstance(value, str) and value.strip():
            try:
                tree = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise ValidationError(_("This text is no condition."), code="shape") from error
        else:
            tree = value or EVERYTHING
        try:
            node = parse(tree, self.target)
        except InvalidCondition as invalid:
            raise ValidationError(
                [self._error(path, code, message, places) for path, code, message in invalid.errors]
            ) from invalid
        cleaned = tree_of(node)
        if self.required and cleaned == EVERYTHING:
            raise ValidationError(self.error_messages["required"], code="required")
        return cleaned

    def _error(self, path: str, code: str, message: str, places: Mapping[str, str]) -> ValidationError:
        number = _number(places.get(path, ""))
        if number:
            message = _("Condition %(number)s: %(message)s") % {"number": number, "message": message}
        return ValidationError(message, code=code, params={"path": path})

    def has_changed(self, initial: object, data: object) -> bool:
        """Whether another tree was written, however it is laid out."""
        try:
            before = tree_of(parse(initial or EVERYTHING, self.target))
            return before != self.clean(data)
        except (InvalidCondition, ValidationError):
            return True
