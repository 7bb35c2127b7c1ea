import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from members.services import vault

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()


@given(st.binary(max_size=300))
def test_what_was_encrypted_comes_back(plaintext):
    ciphertext = vault.encrypt(plaintext)

    assert vault.decrypt(ciphertext) == plaintext
    assert vault.decrypt(memoryview(ciphertext)) == plaintext


def test_the_same_value_never_looks_the_same():
    assert vault.encrypt(b"+8613800138000") != vault.encrypt(b"+8613800138000")


@given(st.data())
def test_an_altered_value_is_refused(data):
    ciphertext = bytearray(vault.encrypt(b"+8613800138000"))
    ciphertext[data.draw(st.integers(0, len(ciphertext) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(vault.UnreadableCiphertext):
        vault.decrypt(bytes(ciphertext))


@pytest.mark.parametrize("ciphertext", [b"", b"\x00", b"\x03dev", b"\x03dev" + b"0" * 12, b"+8613800138000"])
def test_what_is_no_ciphertext_is_refused(ciphertext):
    with pytest.raises(vault.UnreadableCiphertext):
        vault.decrypt(ciphertext)


def test_a_new_key_encrypts_while_the_old_one_still_opens(settings):
    settings.GUIKE_PII_KEYS = [OLD]
    before = vault.encrypt(b"secret")

    settings.GUIKE_PII_KEYS = [NEW, OLD]
    after = vault.encrypt(b"secret")

    assert vault.decrypt(before) == vault.decrypt(after) == b"secret"
    assert after.startswith(vault.current_header())
    assert not before.startswith(vault.current_header())


def test_a_value_of_a_key_that_left_the_ring_is_refused(settings):
    settings.GUIKE_PII_KEYS = [OLD]
    ciphertext = vault.encrypt(b"secret")
    settings.GUIKE_PII_KEYS = [NEW]

    with pytest.raises(vault.UnreadableCiphertext):
        vault.decrypt(ciphertext)


def test_indexes_are_bound_to_kind_and_key(settings):
    index = vault.blind_index("phone", "123456")

    assert len(index) == 16
    assert vault.blind_index("phone", "123456") == index
    assert vault.blind_index("document", "123456") != index
    assert vault.last4_index("phone", "123456") == vault.last4_index("phone", "993456")
    settings.GUIKE_PII_INDEX_KEY = base64.b64encode(b"x" * 32).decode()
    assert vault.blind_index("phone", "123456") != index


def test_rotating_the_encryption_key_keeps_the_indexes(settings):
    settings.GUIKE_PII_KEYS = [OLD]
    index = vault.blind_index("phone", "123456")
    settings.GUIKE_PII_KEYS = [NEW, OLD]

    assert vault.blind_index("phone", "123456") == index


@pytest.mark.parametrize("keys", [[], ["short:AAAA"], ["no-colon"], ["x:not base64!"]])
def test_a_bad_key_ring_is_refused(settings, keys):
    settings.GUIKE_PII_KEYS = keys

    with pytest.raises(ImproperlyConfigured):
        vault.encrypt(b"secret")


def test_a_bad_index_key_is_refused(settings):
    settings.GUIKE_PII_INDEX_KEY = ""

    with pytest.raises(ImproperlyConfigured):
        vault.blind_index("phone", "1")
