"""Posts of members on social platforms: when two links are the same one."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

# Parameters that tell where a reader came from, and not which post it is.
_TRACKING = frozenset(
    {
        "app_platform",
        "app_version",
        "apptime",
        "appuid",
        "author_share",
        "from",
        "from_source",
        "ignoreengage",
        "share_from_user_hidden",
        "share_id",
        "share_source",
        "share_token",
        "shareredid",
        "sharer_shareid",
        "sharer_sharetime",
        "sharetime",
        "timestamp",
        "type",
        "wx_header",
        "xhsshare",
        "xsec_source",
        "xsec_token",
    }
)
_LONGEST = 300
_ADDRESS = re.compile(r"https?://[^\s，。！]+", re.IGNORECASE)


def link_of(text: str) -> str:
    """The address in what was pasted: apps copy a sentence with the address in it."""
    found = _ADDRESS.search(text)
    return found.group().rstrip("，。！,.!)）】") if found else text.strip()


def link_key(link: str) -> str:
    """What makes two links the same post: host and path and what names the post; empty without a link.

    Scheme, `www.` and `m.`, upper case in the host, a slash at the end, the fragment and parameters
    of tracking do not count. The order of parameters does not either. What is no address is its own key.
    """
    text = link.strip()
    if not text:
        return ""
    try:
        key = _of_address(text if "://" in text else f"https://{text}")
    except ValueError:
        key = text
    if len(key) > _LONGEST:
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        key = f"{key[: _LONGEST - len(digest) - 1]}~{digest}"
    return key


def _of_address(address: str) -> str:
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    for prefix in ("www.", "m."):
        host = host.removeprefix(prefix)
    query = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in _TRACKING and not name.lower().startswith("utm_")
    )
    key = f"{host}{parts.path.rstrip('/')}"
    return f"{key}?{urlencode(query)}" if query else key
