"""Files."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from feedback import services
from feedback.rules.files import safe_name, type_of
from hotels.models import Role
from tests.factories import (
    NOW,
    make_property,
    make_staff,
)
from tests.feedback.test_handling.acts import PNG, log

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.png", b"<html><script>alert(1)</script>", "只接受"),
        ("a.svg", b"<svg onload=alert(1)>", "只接受"),
        ("a.png", b"", "空"),
        ("a.png", PNG + b"\0" * (10 * 1024 * 1024), "10 MB"),
    ],
)
def test_a_disguised_empty_or_large_file_is_refused(place, name, content, error, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    with pytest.raises(services.FileRefused, match=error):
        services.attach_file(
            actor=None, now=NOW, ticket_id=log(place).pk, name=name, content=SimpleUploadedFile(name, content)
        )
    assert list(tmp_path.rglob("*.*")) == []


def test_a_file_is_read_through_a_view_that_checks_rights(client, place, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    client.force_login(make_staff(Role.GUEST_SERVICE, place=place))
    ticket = log(place)
    upload = SimpleUploadedFile("../../漏水.html", PNG, content_type="text/html")

    client.post(reverse("feedback:attach", args=[ticket.public_id]), {"request_key": uuid.uuid4(), "file": upload})
    stored = ticket.attachments.get()
    url = reverse("feedback:attachment", args=[ticket.public_id, stored.public_id])
    answer = client.get(url)

    assert (stored.name, answer["Content-Type"]) == ("漏水.png", "image/png")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"".join(answer.streaming_content) == PNG
    client.force_login(make_staff(Role.GUEST_SERVICE, place=make_property()))
    assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF0000WEBP", "image/webp"),
        (b"MZ", ""),
    ],
)
def test_the_type_is_what_the_bytes_show(head, content_type):
    assert type_of(head) == content_type


def test_names_lose_paths_and_control_characters():
    assert safe_name("..\\..\\a\x00b\u202egnp.exe", "image/png") == "abgnp.png"
