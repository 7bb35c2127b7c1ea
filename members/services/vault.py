"""Encryption of personal data at rest, and the keyed blind indexes that make it findable.

Ciphertext is `length of key id (1 byte) | key id | nonce (12 bytes) | AES-256-GCM output`. The key id
is authenticated, so a stored value says which key opens it and rotation needs no second column.

A blind index is HMAC-SHA-256 over the kind and the normal form, cut to 16 bytes: equal values of a
kind have equal indexes, and nobody without the index key can tell which value an index stands for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

NONCE_BYTES = 12
KEY_BYTES = 32
INDEX_BYTES = 16
HMAC_BLOCK_BYTES = 64
# Domain of the index over the last four characters of a phone or a document number.
LAST4 = "last4"


class UnreadableCiphertext(Exception):
    """The value was not written by a key of the ring, or was tampered with."""

    code = "unreadable_ciphertext"


def encrypt(plaintext: bytes) -> bytes:
    """Encrypt with the first key of the ring; equal plaintexts give different ciphertexts."""
    header, cipher = _encrypting_key(tuple(settings.GUIKE_PII_KEYS))
    nonce = os.urandom(NONCE_BYTES)
    return header + nonce + cipher.encrypt(nonce, plaintext, header)


def decrypt(ciphertext: bytes | memoryview) -> bytes:
    """Decrypt what any key of the ring wrote.

    Raises:
        UnreadableCiphertext: unknown key id, truncated or altered value.
    """
    data = bytes(ciphertext)
    end_of_header = 1 + data[0] if data else 0
    header = data[:end_of_header]
    cipher = _decrypting_keys(tuple(settings.GUIKE_PII_KEYS)).get(header)
    if cipher is None:
        raise UnreadableCiphertext
    nonce = data[end_of_header : end_of_header + NONCE_BYTES]
    try:
        return cipher.decrypt(nonce, data[end_of_header + NONCE_BYTES :], header)
    except (InvalidTag, ValueError) as error:
        raise UnreadableCiphertext from error


def current_header() -> bytes:
    """The first bytes of everything that the encrypting key writes; rotation looks for rows without it."""
    return _encrypting_key(tuple(settings.GUIKE_PII_KEYS))[0]


def blind_index(kind: str, text: str) -> bytes:
    """Keyed index of a normal form (see `members.rules.identity`), bound to its kind.

    Args:
        kind: A value of `GuestIdentity.Kind`, or a domain of its own such as `phone/last4`.
        text: The normal form.

    Returns:
        16 bytes.
    """
    inner, outer = (state.copy() for state in _index_states(settings.GUIKE_PII_INDEX_KEY))
    inner.update(kind.encode() + b"\x00" + text.encode())
    outer.update(inner.digest())
    return outer.digest()[:INDEX_BYTES]


def last4_index(kind: str, text: str) -> bytes:
    """Keyed index of the last four characters of a normal form."""
    return _last4_index(settings.GUIKE_PII_INDEX_KEY, f"{kind}/{LAST4}", text[-4:])


@lru_cache(maxsize=32_768)
def _last4_index(_key: str, domain: str, tail: str) -> bytes:
    # There are few of them, so most are worked out once.
    return blind_index(domain, tail)


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> list[tuple[bytes, AESGCM]]:
    if not keys:
        message = "GUIKE_PII_KEYS is empty: personal data cannot be stored."
        raise ImproperlyConfigured(message)
    ring = []
    for entry in keys:
        key_id, _, encoded = entry.partition(":")
        header = bytes([len(key_id.encode())]) + key_id.encode() if key_id else b""
        ring.append((header, AESGCM(_key(encoded if header else "", "GUIKE_PII_KEYS"))))
    return ring


@lru_cache(maxsize=8)
def _encrypting_key(keys: tuple[str, ...]) -> tuple[bytes, AESGCM]:
    return _ring(keys)[0]


@lru_cache(maxsize=8)
def _decrypting_keys(keys: tuple[str, ...]) -> dict[bytes, AESGCM]:
    return dict(_ring(keys))


@lru_cache(maxsize=8)
def _index_states(encoded: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC's two hashes with the key already in them: a copy of them costs half of a whole HMAC (RFC 2104)."""
    key = _key(encoded, "GUIKE_PII_INDEX_KEY").ljust(HMAC_BLOCK_BYTES, b"\x00")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in key)), hashlib.sha256(bytes(byte ^ 0x5C for byte in key))


def _key(encoded: str, setting: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        message = f"{setting} needs base64 of {KEY_BYTES} random bytes (as id:base64 in the key ring)."
        raise ImproperlyConfigured(message)
    return key
