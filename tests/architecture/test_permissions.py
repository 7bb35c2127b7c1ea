"""Who reaches what: every named address × every role, and every table of the admin × every role.

A new address or a new table without a row here fails, so that somebody decides who may reach it.
"""

import copy
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from knox.models import AuthToken

from hotels.models import Role, User
from members.models import Guest
from tests.factories import make_staff

ROLES = (
    "nobody",
    "guest",
    Role.INTEGRATION,
    Role.RECEPTIONIST,
    Role.GUEST_SERVICE,
    Role.MARKETER,
    Role.PROPERTY_MANAGER,
    Role.GROUP_MANAGER,
    Role.AUDITOR,
)
OF_PROPERTY = {Role.RECEPTIONIST, Role.GUEST_SERVICE, Role.PROPERTY_MANAGER}

# One letter per role, in the order of ROLES: Y answered, L sent to sign in (401 in the API),
# N refused (403), H hidden or not there (404), - no such method (405). First for GET, then for POST
# with an empty form. H for a form means: allowed, but it names no record.
# nobody guest integration receptionist guest-service marketer property-manager group-manager auditor
TABLE: dict[str, str] = {}

# Tables of the admin: v view, a add, c change, d delete, by role. Receptionists, guest-service
# agents, guests and integrations do not enter the admin at all.
ADMIN: dict[str, dict[str, str]] = {}


def named_addresses():
    """Full name → route of every named address outside the admin."""

    def walk(resolver, namespace, route):
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLPattern):
                if pattern.name:
                    yield f"{namespace}{pattern.name}", f"{route}{pattern.pattern}"
            elif pattern.namespace != "admin":
                prefix = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern, prefix, f"{route}{pattern.pattern}")

    return dict(walk(get_resolver(), "", ""))


def arguments(route: str, samples: SimpleNamespace) -> dict[str, object]:
    """Records of the samples for the parts of an address."""
    member = samples.member
    records = {
        "guests/": member.guest.public_id,
        "stays/": member.stay.public_id,
        "redemptions/": member.redemption.public_id,
        "tickets/": member.ticket.public_id,
        "imports/": samples.batch.public_id,
    }
    values = {
        "public_id": next((value for prefix, value in records.items() if route.startswith(prefix)), None),
        "preference_id": member.guest.preferences.get().pk,
        "code": samples.tag.code,
        "seq": 2,
        "pk": 1,
        "key": "abc-def",
        "uidb36": "1",
        "membership_number": member.membership.number,
    }
    return {name: value for name, value in values.items() if f":{name}>" in route or f"<{name}>" in route}


def letter(answer) -> str:
    """What an answer means for the reader."""
    path = answer.get("Location", "")
    if answer.status_code == 401 or path.startswith("/accounts/login/?"):
        return "L"
    return {403: "N", 404: "H", 405: "-"}.get(answer.status_code, "Y" if answer.status_code < 500 else "E")


def visit(client: Client, url: str, method: str = "get", data: dict[str, str] | None = None) -> str:
    """Ask for a page, or send a form that is empty but for `data`; nothing of it is kept."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        answer = getattr(client, method)(url, data)
        transaction.set_rollback(True)
    client.cookies = cookies
    return letter(answer)


@pytest.fixture
def people(samples):
    """A signed-in client for every role; in the API they carry tokens."""
    users = {role: make_staff(role, place=samples.place if role in OF_PROPERTY else None) for role in ROLES[2:]}
    users["guest"] = User.objects.create_user("a-guest")
    Guest.objects.filter(pk=samples.member.guest.pk).update(user=users["guest"])
    clients = {"nobody": Client()}
    for role, user in users.items():
        clients[role] = Client(headers={"Authorization": f"Token {AuthToken.objects.create(user=user)[1]}"})
        clients[role].force_login(user)
    return SimpleNamespace(users=users, clients=clients)


def test_every_address_answers_each_role_as_the_table_says(people, samples):
    found = {}
    for name, route in named_addresses().items():
        url = reverse(name, kwargs=arguments(route, samples))
        data = {"property": samples.place.code} if name == "hotels:switch_property" else {}
        found[name] = " ".join(
            "".join(visit(people.clients[role], url, method, data) for role in ROLES) for method in ("get", "post")
        )

    assert {name: row for name, row in found.items() if TABLE.get(name) != row} == {}
    assert set(TABLE) == set(found)


def test_every_table_of_the_admin_allows_each_role_what_the_table_says(people, rf):
    found = {}
    for model, model_admin in admin.site._registry.items():
        found[model._meta.label] = {
            role: rights
            for role in ROLES[2:]
            if admin.site.has_permission(request := _request(rf, people.users[role]))
            and (rights := _rights(model_admin, request))
        }

    assert {label: row for label, row in found.items() if ADMIN.get(label) != row} == {}
    assert set(ADMIN) == set(found)


def _request(factory, user):
    request = factory.get("/admin/")
    request.user = user
    return request


def _rights(model_admin, request):
    permissions = {
        "v": model_admin.has_view_permission,
        "a": model_admin.has_add_permission,
        "c": model_admin.has_change_permission,
        "d": model_admin.has_delete_permission,
    }
    return "".join(key for key, allows in permissions.items() if allows(request))


def test_lists_of_the_admin_open_for_exactly_those_who_may_view_them(people):
    wrong = {}
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for role in ROLES:
            seen = visit(people.clients[role], url) == "Y"
            if seen != ("v" in ADMIN[model._meta.label].get(role, "")):
                wrong[model._meta.label, role] = seen

    assert wrong == {}
