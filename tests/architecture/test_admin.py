"""The admin: every model is there or has a reason not to be, pages answer, lists have a fixed price."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.architecture.samples import make_row_of_everything

OUR_APPS = ("hotels", "members", "loyalty", "feedback", "campaigns")

# Models without a page of their own in the admin, and why.
WITHOUT_ADMIN = {
    "hotels.StaffAssignment": "rows inside the user's page",
    "hotels.ApiRequest": "answers kept for retries of API clients; a job deletes them, nobody reads them",
    "hotels.Draft": "what a user has typed and not sent; nobody else may read it, a job deletes it",
    "hotels.Presence": "who has a record open this minute; shown on the record, deleted within hours",
    "members.GuestIdentity": "masked rows inside the guest's page",
    "members.Preference": "rows inside the guest's page",
    "members.GuestTag": "rows inside the guest's page",
    "members.Consent": "rows inside the guest's page",
    "members.FolioLine": "rows inside the stay's page",
    "members.ImportRow": "encrypted rows of a file, read on the import page",
    "loyalty.DailyUse": "the counter behind a daily limit; what it adds up is read as movements",
    "loyalty.JobError": "rows inside the run's page",
    "loyalty.LotMove": "shown on the posting's page; its composite key has no page in the admin",
    "loyalty.RequestKey": "idempotency keys, shown on the posting's page; composite key",
    "loyalty.ReferralCode": "the member's own code, shown on the guest's card",
    "loyalty.SettlementItem": "the rows behind a figure of finance, each with its posting",
    "loyalty.SettlementLine": "who owes whom, on the page of the settlement, for the properties that the reader may see",
    "loyalty.SourceKey": "business keys, shown on the posting's page; composite key",
    "loyalty.RedemptionEvent": "rows inside the redemption's page",
    "loyalty.RewardBlackout": "rows inside the reward's page",
    "loyalty.RewardLimit": "rows inside the reward's page",
    "loyalty.RewardPrice": "rows inside the reward's page",
    "loyalty.RewardStock": "rows inside the reward's page",
    "loyalty.RewardUse": "counters of limits; the desk and the preview say what is left",
    "loyalty.TopUpStep": "rows inside the stored-value policy's page",
    "loyalty.VoucherBlackout": "rows inside the voucher type's page",
    "loyalty.VoucherEvent": "rows inside the voucher's page",
    "feedback.TicketEvent": "rows inside the ticket's page",
    "feedback.Case": "what the tickets of one matter share; shown on each of them",
    "feedback.TicketClock": "shown on the ticket's page",
    "feedback.TicketReminder": "due rows of the ladder; what was given stands in the ticket's events",
    "feedback.TicketLink": "shown on both tickets' pages",
    "feedback.Notification": "lines under one user's bell; nobody else reads them",
    "feedback.Handover": "the list on the handover page; taken tickets tell it in their events",
    "feedback.Attachment": "shown on the ticket's page, read through a view that checks rights",
    "feedback.Recovery": "shown on the ticket's page",
    "feedback.CalendarInterval": "rows inside the calendar's page",
    "feedback.CalendarException": "rows inside the calendar's page",
}


def our_models():
    return [model for label in OUR_APPS for model in apps.get_app_config(label).get_models()]


def names_of(model):
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"


@pytest.fixture
def superuser_client(samples):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def test_every_model_has_an_admin_or_a_stated_reason():
    missing = {m._meta.label for m in our_models()} - {m._meta.label for m in admin.site._registry}

    assert missing == set(WITHOUT_ADMIN)


def test_every_page_of_the_admin_answers(superuser_client):
    answers = {}
    for model in admin.site._registry:
        answers[model._meta.label, "list"] = superuser_client.get(reverse(f"{names_of(model)}_changelist")).status_code
        record = model._default_manager.order_by("pk").last()
        url = reverse(f"{names_of(model)}_change", args=[record.pk])
        answers[model._meta.label, "record"] = superuser_client.get(url).status_code

    # A token has no page of its own: its address would be the digest.
    assert {key: status for key, status in answers.items() if status != 200} == {("knox.AuthToken", "record"): 302}


def test_every_list_can_be_searched_and_ends_its_order_in_the_key(superuser_client):
    answers = {}
    for model, model_admin in admin.site._registry.items():
        url = reverse(f"{names_of(model)}_changelist")
        answers[model._meta.label] = superuser_client.get(url, {"q": "a"}).status_code
        assert model_admin.ordering[-1].lstrip("-") in {"pk", "id"}, model
        assert model_admin.show_full_result_count is False, model

    assert set(answers.values()) == {200}


def test_lists_ask_the_database_as_often_for_thirty_rows_as_for_one(superuser_client, samples):
    lists = [f"{names_of(model)}_changelist" for model in admin.site._registry]
    few = {name: queries_of(superuser_client, name) for name in lists}
    for _ in range(30):
        make_row_of_everything(samples)

    many = {name: queries_of(superuser_client, name) for name in lists}

    assert {name: (few[name], many[name]) for name in lists if few[name] != many[name]} == {}
    assert max(many.values()) <= 20


def queries_of(client, name):
    client.get(reverse(name))
    with CaptureQueriesContext(
        connection,
    ) as captured:
        client.get(reverse(name))
    return len(captured)
