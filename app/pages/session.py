"""A secret -> sealed page sessions: what a cookie says, who may read it and until when; nothing is kept on the server.

Cookies are HttpOnly and SameSite=Strict; what they hold is signed, not hidden. A session of one page opens no other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from pathlib import Path

from app.storage.own_key import own_key


def session_secret(home: Path) -> bytes:
    """The signing secret of this installation; made at the first call, readable by its owner only."""
    return own_key(home, "pages.key")


@dataclass(frozen=True, slots=True)
class SessionSeal:
    """Seals and opens the sessions of one page."""

    secret: bytes
    page: str
    lasts_seconds: int

    def seal(self, subject: str) -> str:
        """A cookie value that says who `subject` is until the session ends."""
        content = json.dumps({"subject": subject, "until": int(time.time()) + self.lasts_seconds}).encode()
        return f"{_text(content)}.{_text(self._signature(content))}"

    def open(self, cookie: str | None) -> str | None:
        """The subject of a genuine session that has not ended; else None."""
        content_text, _, signature_text = (cookie or "").partition(".")
        content, signature = _bytes(content_text), _bytes(signature_text)
        if not hmac.compare_digest(signature, self._signature(content)):
            return None
        session = json.loads(content)
        return str(session["subject"]) if session["until"] > time.time() else None

    def _signature(self, content: bytes) -> bytes:
        return hmac.digest(self.secret, self.page.encode() + b"\0" + content, hashlib.sha256)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
