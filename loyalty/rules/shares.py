"""Posts of members on social platforms: when two links are the same one."""

from __future__ import annotations

import hashlib
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


def link_key(link: str) -> str:
    """What makes two links the same post: host and path and what names the post; empty without a link.

    Scheme, `www.` and `m.`, upper case in the host, a slash at the end, the fragment and parameters
    of tracking do not count. The order of parameters does not either.
    """
    text = link.strip()
    if not text:
        return ""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = (parts.hostname or "").lower()
    for prefix in ("www.", "m."):
        host = host.removeprefix(prefix)
    query = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in _TRACKING and not name.lower().startswith("utm_")
    )
    key = f"{host}{parts.path.rstrip('/')}"
    if query:
        key = f"{key}?{urlencode(query)}"
    if len(key) > _LONGEST:
        digest = hashlib.sha256(key.encode()).hexdigest()
        key = f"{key[: _LONGEST - len(digest) - 1]}~{digest}"
    return key
