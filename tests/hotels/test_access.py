"""Signing in, the way back, the property of the session, the second factor, errors."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.health import CHECKS
from hotels.models import AuditEntry, Role, User
from hotels.views import login_redirect, safe_path
from tests.factories import PASSWORD, make_property, make_staff

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def receptionist():
    return make_staff(place=make_property("SHA01"))


def test_nobody_is_sent_to_the_login_and_back():
    answer = Client().get("/hotels/profile/?tab=keys")

    assert answer["Location"] == f"{LOGIN}?next=/hotels/profile/%3Ftab%3Dkeys"


def test_signing_in_leads_back_to_the_page(receptionist):
    client = Client()

    answer = client.post(
        f"{LOGIN}?next=/hotels/profile/",
        {"login": receptionist.username, "password": PASSWORD, "next": "/hotels/profile/"},
    )

    assert answer["Location"] == "/hotels/profile/"


def test_an_htmx_request_of_an_expired_session_leads_the_whole_page_to_the_login_and_back():
    answer = Client().get(
        "/hotels/profile/",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/guests/?q=林"},
    )

    assert answer.status_code == 401
    assert answer["HX-Redirect"].startswith(f"{LOGIN}?next=/guests/%3Fq%3D")


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/steal", "//evil.example", "javascript:alert(1)", "", "http://testserver.evil.example/"],
)
def test_the_way_back_never_leaves_the_house(url):
    request = RequestFactory().get("/", headers={"HX-Request": "true", "HX-Current-URL": url})

    assert login_redirect(request)["Location"] == f"{LOGIN}?next=/"
    assert safe_path(request, url) == ""


def test_a_posted_form_leads_back_to_the_page_it_stood_on():
    answer = Client().post("/hotels/property/", headers={"Referer": "http://testserver/guests/?q=1"})

    assert answer["Location"] == f"{LOGIN}?next=/guests/%3Fq%3D1"


@pytest.mark.parametrize("user_of", [lambda: User.objects.create_user("guest"), lambda: make_staff(Role.INTEGRATION)])
def test_accounts_of_guests_and_integrations_never_enter_staff_pages(user_of):
    client = signed_in(user_of())

    assert client.get("/hotels/profile/").status_code == 403
    assert client.get("/admin/").status_code in {302, 403}
    assert client.get("/admin/", follow=True).status_code == 403


def test_a_refusal_has_a_sentence_a_next_step_and_a_code_to_quote():
    client = signed_in(User.objects.create_user("guest"))

    page = client.get("/hotels/profile/")
    fragment = client.get("/hotels/profile/", headers={"HX-Request": "true"})

    assert page["X-Request-ID"] in page.content.decode()
    assert "<html" in page.content.decode()
    assert 'role="alert"' in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert fragment["X-Request-ID"] in fragment.content.decode()


def test_a_form_of_an_earlier_sign_in_is_refused_with_the_next_step(receptionist):
    client = Client(enforce_csrf_checks=True)
    client.force_login(receptionist)

    answer = client.post("/hotels/profile/", {"display_name": "x"}, headers={"HX-Request": "true"})

    assert answer.status_code == 403
    assert answer["X-Request-ID"] in answer.content.decode()


def test_an_address_that_does_not_exist_says_so():
    answer = Client().get("/nowhere/")

    assert answer.status_code == 404
    assert answer["X-Request-ID"] in answer.content.decode()


def test_the_session_keeps_the_property(receptionist):
    user = make_staff(Role.GROUP_MANAGER)
    make_property("HGH01")
    client = signed_in(user)

    first = client.get("/hotels/profile/").context["current_property"].code
    client.post("/hotels/property/", {"property": "SHA01"})
    second = client.get("/hotels/profile/").context["current_property"].code

    assert (first, second) == ("HGH01", "SHA01")


def test_another_property_than_ones_own_cannot_be_chosen(receptionist):
    make_property("HGH01")
    client = signed_in(receptionist)

    assert client.post("/hotels/property/", {"property": "HGH01"}).status_code == 403
    assert client.get("/hotels/property/").status_code == 405


def test_a_permission_counts_where_one_works_now(receptionist):
    elsewhere = make_property("HGH01")
    user = make_staff(Role.PROPERTY_MANAGER, place=elsewhere)
    user.assignments.create(role=Role.RECEPTIONIST, property=receptionist.assignments.get().property)
    user = User.objects.get(pk=user.pk)

    assert user.has_perm("members.import_guests", elsewhere)
    assert not user.has_perm("members.import_guests", receptionist.assignments.get().property)


def test_the_chosen_language_stays_with_the_user(receptionist):
    client = signed_in(receptionist)

    client.post("/i18n/setlang/", {"language": "en", "next": "/hotels/profile/"})
    answer = signed_in(receptionist).get("/hotels/profile/", headers={"Accept-Language": "zh-CN"})

    assert User.objects.get(pk=receptionist.pk).language == "en"
    assert "Save profile" in answer.content.decode()


def test_the_profile_is_changed_by_its_owner_and_audited(receptionist):
    client = signed_in(receptionist)

    answer = client.post("/hotels/profile/", {"display_name": "林芳", "language": "zh-hans"})

    receptionist.refresh_from_db()
    assert answer.status_code == 302
    assert (receptionist.display_name, receptionist.shortcuts_enabled) == ("林芳", False)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.after["display_name"]) == ("user.profile_changed", receptionist, "林芳")


def test_a_wrong_profile_answers_422(receptionist):
    assert signed_in(receptionist).post("/hotels/profile/", {"language": "fr"}).status_code == 422


def test_a_role_that_needs_a_second_factor_sets_it_up_first(settings, receptionist):
    settings.GUIKE_SECOND_FACTOR_ROLES = [Role.RECEPTIONIST]
    client = signed_in(receptionist)

    answer = client.get("/hotels/profile/")
    within = client.get("/hotels/profile/", headers={"HX-Request": "true"})

    assert answer["Location"] == reverse("mfa_index")
    assert within["HX-Redirect"] == reverse("mfa_index")
    assert client.get(reverse("mfa_index")).status_code == 200


def test_a_flagged_user_with_a_second_factor_goes_on():
    user = make_staff(place=make_property(), second_factor_required=True)
    TOTP.activate(user, generate_totp_secret())

    assert signed_in(user).get("/hotels/profile/").status_code == 200


def test_secrets_of_second_factors_are_stored_encrypted(receptionist):
    secret = generate_totp_secret()

    TOTP.activate(receptionist, secret)

    assert secret not in str(Authenticator.objects.get().data)


def test_nobody_signs_up_and_no_password_question_tells_who_exists(receptionist):
    client = Client()

    known = client.post("/accounts/password/reset/", {"email": "known@example.com"})
    unknown = client.post("/accounts/password/reset/", {"email": "unknown@example.com"})

    assert client.post("/accounts/signup/", {"username": "me", "password1": PASSWORD}).status_code == 200
    assert not User.objects.filter(username="me").exists()
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_guessing_passwords_is_slowed_down_and_says_so(settings, receptionist):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/m/key", "login": "6/m/ip"}
    client = Client()
    guess = {"login": receptionist.username, "password": "wrong"}

    answers = [client.post(LOGIN, guess) for _ in range(5)]
    right = client.post(LOGIN, {**guess, "password": PASSWORD})
    beyond = client.post(LOGIN, guess)

    assert answers[0].context["form"].errors != answers[-1].context["form"].errors
    assert right.status_code == 200
    assert beyond.status_code == 429
    assert "<html" in beyond.content.decode()


def test_the_login_page_asks_the_database_nothing():
    with CaptureQueriesContext(connection) as captured:
        answer = Client().get(LOGIN)

    assert answer.status_code == 200
    assert len(captured) == 0


def test_only_the_admin_has_the_relaxed_policy(receptionist):
    client = signed_in(make_staff(Role.GROUP_MANAGER))

    admin_policy = client.get("/admin/")["Content-Security-Policy"]
    page_policy = client.get("/hotels/profile/")["Content-Security-Policy"]

    assert "'unsafe-eval'" in admin_policy
    assert "script-src 'self' 'unsafe-eval'" in admin_policy
    assert "unsafe" not in page_policy


def test_the_admin_sends_nobody_to_the_staff_login():
    answer = Client().get("/admin/login/?next=/admin/hotels/user/")
    outside = Client().get("/admin/login/?next=https://evil.example/")

    assert answer["Location"] == f"{LOGIN}?next=/admin/hotels/user/"
    assert outside["Location"] == f"{LOGIN}?next=/admin/"


def test_live_asks_nothing_and_ready_names_what_fails(monkeypatch):
    with CaptureQueriesContext(connection) as captured:
        live = Client().get("/health/")
    ready = Client().get("/ready/")
    monkeypatch.setitem(CHECKS, "broker", _broken)
    broken = Client().get("/ready/")

    assert (live.status_code, len(captured)) == (200, 0)
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert (broken.status_code, broken.json()["checks"]["broker"]) == (503, "failed")
    assert "secret" not in broken.content.decode()


def _broken():
    message = "secret address"
    raise OSError(message)


def test_an_error_page_needs_no_database_and_no_collected_files(monkeypatch):
    def no_manifest(path):
        raise ValueError(path)

    monkeypatch.setattr("config.errors.static", no_manifest)

    assert Client().get("/nowhere/").status_code == 404
