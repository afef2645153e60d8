"""Home folder and environment -> the three API keys of the demo; made once and kept readable by their owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from app.settings import Settings


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """One key per role."""

    client: str
    ops: str
    admin: str

    def environment(self) -> dict[str, str]:
        """The settings by which the API learns the keys."""
        return {f"TUWEN_{role.upper()}_KEY": key for role, key in asdict(self).items()}


def keys_path(home: Path) -> Path:
    """Where made keys are kept."""
    return home / "keys.json"


def demo_keys(settings: Settings) -> DemoKeys:
    """The keys of the settings where they name some, else kept ones, else new ones."""
    kept = _kept(keys_path(settings.home))
    return DemoKeys(
        client=_given(settings.client_key) or kept["client"],
        ops=_given(settings.ops_key) or kept["ops"],
        admin=_given(settings.admin_key) or kept["admin"],
    )


def _given(key: SecretStr | None) -> str | None:
    return key.get_secret_value() if key is not None else None


def _kept(path: Path) -> dict[str, str]:
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = {role: secrets.token_urlsafe(32) for role in ("client", "ops", "admin")}
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(keys, file, indent=2)
    fresh.replace(path)
    return keys
