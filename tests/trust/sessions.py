"""The pages of an attacked service with the wrong session or none, and the console's form."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx

from app.domain import Role
from app.pages.session import SessionSeal
from tests.pages.doors import doors
from tests.trust.attacked import KEYS, Attacked

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def pages_that_open(attacked: Attacked) -> dict[str, bool]:
    """Whether what needs a session can be had without its own, whatever the cookie."""
    stranger = b"0" * 32
    with attacked.client(None) as client:
        demo = client.get("/demo").cookies["tuwen_demo"]
        admin = sign_in(client, KEYS[Role.ADMIN]).cookies["tuwen_admin"]
    forged = (SessionSeal(stranger, page, 600).seal(admin_key_id(attacked)) for page in ("admin", "demo"))
    cookies = {
        "no cookie": "",
        "a forged one": "tuwen_admin={}; tuwen_demo={}".format(*forged),
        "one of the other pages": f"tuwen_admin={demo}; tuwen_demo={admin}",
    }
    opened = {}
    with attacked.client(None) as client:
        for door in doors():
            if not door.is_open:
                for name, cookie in cookies.items():
                    headers = FORM | {"Origin": attacked.address, "Cookie": cookie}
                    status = client.request(door.method, door.filled(), headers=headers, content="x=1").status_code
                    opened[f"{name}: {door.method} {door.path} gave {status}"] = status != 403
    return opened


def sign_in(client: httpx.Client, key: str) -> httpx.Response:
    """The console's form, as a browser sends it."""
    headers = FORM | {"Origin": str(client.base_url).rstrip("/")}
    return client.post("/admin/sign-in", headers=headers, content=urlencode({"key": key}))


def admin_key_id(attacked: Attacked) -> str:
    return str(attacked.rows("SELECT key_id FROM api_keys WHERE role = 'admin'")[0][0])
