"""What files may be put on a ticket: judged by their first bytes, never by what the sender calls them."""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 10 * 1024 * 1024
MAX_NAME = 100

_IMAGES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF87a", "image/gif"))
_MORE = ((b"GIF89a", "image/gif"), (b"%PDF-", "application/pdf"))
EXTENSIONS = {
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "image/heic": ("heic", "heif"),
    "application/pdf": ("pdf",),
    "audio/mpeg": ("mp3",),
    "video/mp4": ("mp4",),
}


def type_of(head: bytes) -> str:
    """The type that the first bytes of a file show, of those that are taken; empty for any other."""
    for start, content_type in (*_IMAGES, *_MORE):
        if head.startswith(start):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "image/heic" if head[8:12] in {b"heic", b"heix", b"mif1", b"hevc"} else "video/mp4"
    if head.startswith(b"ID3") or head[:2] in {b"\xff\xfb", b"\xff\xf3"}:
        return "audio/mpeg"
    return ""


def safe_name(name: str, content_type: str) -> str:
    """A name to show and to download under: no path, no control characters, the extension of what it is."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C")
    stem, _dot, extension = name.rpartition(".")
    if not stem:
        stem, extension = extension, ""
    stem = re.sub(r'[<>:"|?*;]+', "_", stem).strip(" .") or "file"
    allowed = EXTENSIONS[content_type]
    extension = extension.lower() if extension.lower() in allowed else allowed[0]
    return f"{stem[:MAX_NAME]}.{extension}"
