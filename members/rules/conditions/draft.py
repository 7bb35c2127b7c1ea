"""A tree while somebody writes it: groups and rows of texts, with gaps and mistakes.

The builder's inputs are called `NAME-PATH-PART`: the path of a group or row is its place in the
groups above it, such as `0.2`, empty for the outermost group; the parts are `mode` of a group, `field`,
`op` and `value` of a row. A group holds if all, any, none or not all of its parts do, which covers
every tree.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from members.rules.conditions.fields import SHAPES, Kind, Shape, locate
from members.rules.conditions.tree import EVERYTHING, MAX_DEPTH, MAX_NODES, MAX_TEXT, MAX_VALUES

MODES = ("all", "any", "none", "not_all")
_NEGATED = {"none": "any", "not_all": "all"}
_PART = re.compile(r"(?P<path>\d{1,3}(?:\.\d{1,3})*)?-(?P<part>mode|field)", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,12}", re.ASCII)


# What a browser sent: Django's `QueryDict`.
Posted = Any


@dataclass(slots=True)
class Row:
    """One condition: names of field and operator, and the values as texts."""

    name: str = ""
    op: str = ""
    values: list[str] = field(default_factory=list)
    # What the builder has no input for: the JSON of something that is no condition any more.
    raw: str = ""


@dataclass(slots=True)
class Group:
    """Some conditions and how many of them must hold."""

    mode: str = "all"
    parts: list[Row | Group] = field(default_factory=list)


# The path in the JSON tree → path of the group or row here.
Places = dict[str, str]


def draft_of(tree: object, depth: int = 1) -> Group:
    """The draft of a stored tree."""
    part = _part_of(tree, depth)
    return part if isinstance(part, Group) else Group(parts=[part])


def _part_of(tree: object, depth: int) -> Row | Group:
    if depth <= MAX_DEPTH and isinstance(tree, Mapping) and len(tree) == 1:
        if isinstance(tree.get("not"), Mapping):
            return _negated(_part_of(tree["not"], depth + 1))
        for mode in ("all", "any"):
            if isinstance(tree.get(mode), list):
                return Group(mode, [_part_of(part, depth + 1) for part in tree[mode]])
    if isinstance(tree, Mapping) and isinstance(tree.get("field"), str) and isinstance(tree.get("op"), str):
        return Row(tree["field"], tree["op"], _texts(tree.get("value")))
    return Row(raw=json.dumps(tree, ensure_ascii=False))


def _negated(part: Row | Group) -> Group:
    if isinstance(part, Group) and part.mode in {"all", "any"}:
        return Group("none" if part.mode == "any" else "not_all", part.parts)
    return Group("none", [part])


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [json.dumps(one) if isinstance(one, bool) else str(one) for one in values]


def draft_from(data: Posted, name: str) -> Group:
    """The draft that the builder's inputs hold."""
    root = Group(_mode(data, name, ""))
    groups: dict[str, Group] = {"": root}
    for path, part in _paths(data, name):
        above, _dot, _last = path.rpartition(".")
        if above not in groups:
            continue
        if part == "mode":
            groups[path] = Group(_mode(data, name, path))
            groups[above].parts.append(groups[path])
        else:
            groups[above].parts.append(_row(data, f"{name}-{path}"))
    return root


def _paths(data: Posted, name: str) -> list[tuple[str, str]]:
    """Path and kind of each row and group below the outermost, in the order of the page."""
    found = []
    for key in data:
        match = _PART.fullmatch(key.removeprefix(f"{name}-")) if key.startswith(f"{name}-") else None
        if match and match["path"] and match["path"].count(".") < MAX_DEPTH:
            found.append((match["path"], match["part"]))
    found.sort(key=lambda place: [int(step) for step in place[0].split(".")])
    return found[: MAX_NODES * 2]


def _mode(data: Posted, name: str, path: str) -> str:
    mode = str(data.get(f"{name}-{path}-mode", ""))
    return mode if mode in MODES else "all"


def _row(data: Posted, prefix: str) -> Row:
    row = Row(str(data.get(f"{prefix}-field", "")), str(data.get(f"{prefix}-op", "")))
    row.raw = str(data.get(f"{prefix}-raw", ""))
    values = [str(value)[: MAX_TEXT * MAX_VALUES] for value in data.getlist(f"{prefix}-value")]
    if len(values) == 1 and "\n" in values[0]:
        # Several texts stand in one box, a line each.
        values = values[0].splitlines()
    row.values = [value.strip() for value in values][: MAX_VALUES + 1]
    return row


def tree_from(group: Group, target: str) -> tuple[dict[str, Any], Places]:
    """The JSON of a draft, with the place here of everything in it.

    Texts that do not look like values of their field stay texts, which `parse` refuses with the reason.
    An outermost group without parts is no condition at all.
    """
    places: Places = {}
    if not group.parts:
        return dict(EVERYTHING), places
    return _group_tree(group, target, "", "", places), places


def _group_tree(group: Group, target: str, place: str, path: str, places: Places) -> dict[str, Any]:
    places[path] = place
    plain = _NEGATED.get(group.mode, group.mode)
    below = f"{path}.not" if group.mode in _NEGATED and path else "not" if group.mode in _NEGATED else path
    places[below] = place
    below = f"{below}.{plain}" if below else plain
    places[below] = place
    parts = []
    for index, part in enumerate(group.parts):
        inner_place, inner_path = f"{place}.{index}" if place else str(index), f"{below}.{index}"
        if isinstance(part, Group):
            parts.append(_group_tree(part, target, inner_place, inner_path, places))
        else:
            places[inner_path] = inner_place
            places |= {f"{inner_path}.{end}": inner_place for end in ("field", "op", "value")}
            parts.append(_row_tree(part, target))
    tree: dict[str, Any] = {plain: parts}
    return {"not": tree} if group.mode in _NEGATED else tree


def _row_tree(row: Row, target: str) -> Any:
    if row.raw and not row.name:
        try:
            return json.loads(row.raw)
        except (ValueError, RecursionError):
            return row.raw
    tree: dict[str, Any] = {"field": row.name, "op": row.op}
    found = locate(target, row.name) if row.name else None
    kind = found[0].kind if found else ""
    shape = SHAPES.get(row.op, Shape.ONE)
    read = _to_number if shape is Shape.DAYS else _FROM_TEXT.get(kind, str)
    values = [read(value) for value in row.values]
    if shape is Shape.SEVERAL:
        tree["value"] = [value for value in values if value != ""]
    elif shape is Shape.PAIR:
        tree["value"] = [*values, "", ""][:2]
    elif shape is not Shape.NOTHING:
        tree["value"] = values[0] if values else ""
    return tree


def _to_number(text: str) -> int | str:
    plain = unicodedata.normalize("NFKC", text).replace(",", "")
    return int(plain) if _WHOLE.fullmatch(plain) else text


def _to_money(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace(",", "")


def _to_boolean(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


_FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    Kind.NUMBER: _to_number,
    Kind.MONEY: _to_money,
    Kind.BOOLEAN: _to_boolean,
    Kind.MONTH: _to_number,
    Kind.WEEKDAY: _to_number,
}


# What the builder's buttons do


def change(group: Group, action: str, path: str, target: str) -> str:
    """Do what a button asks for; returns the path of the row or group to go on with.

    `add` and `add_group` add to the group at the path, `remove` takes away what stands there, `field`
    begins a row anew after another field was chosen. Anything else, or a path that is gone, changes nothing.
    """
    if action in {"add", "add_group"}:
        place = _at(group, path)
        if isinstance(place, Group):
            place.parts.append(Row() if action == "add" else Group("any", [Row()]))
            added = f"{path}.{len(place.parts) - 1}" if path else str(len(place.parts) - 1)
            return added if action == "add" else f"{added}.0"
    elif action == "remove" and path:
        above, _dot, last = path.rpartition(".")
        place = _at(group, above)
        if isinstance(place, Group) and int(last) < len(place.parts):
            del place.parts[int(last)]
            return above
    elif action == "field":
        row = _at(group, path)
        if isinstance(row, Row):
            row.values, row.raw = [], ""
            complete_operators([row], target)
    return path


def _at(group: Group, path: str) -> Row | Group | None:
    place: Row | Group | None = group
    for step in path.split(".") if path else ():
        if not isinstance(place, Group) or not step.isdigit() or int(step) >= len(place.parts):
            return None
        place = place.parts[int(step)]
    return place


def complete_operators(parts: Iterable[Row | Group], target: str) -> None:
    """Give each row whose operator its field does not know the first that it does."""
    for part in parts:
        if isinstance(part, Group):
            complete_operators(part.parts, target)
        elif part.name and (found := locate(target, part.name)) and part.op not in found[0].operators:
            part.op = found[0].operators[0]
