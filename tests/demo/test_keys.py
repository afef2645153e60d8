from __future__ import annotations

import stat
from pathlib import Path

from pydantic import SecretStr

from app.settings import Settings
from demo.keys import demo_keys, keys_path


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, client_key=None, ops_key=None, admin_key=None)

    keys = demo_keys(settings)

    assert demo_keys(settings) == keys
    assert len({keys.client, keys.ops, keys.admin}) == 3
    assert stat.S_IMODE(keys_path(tmp_path).stat().st_mode) == 0o600


def test_a_key_of_the_settings_goes_before_a_made_one(tmp_path: Path) -> None:
    keys = demo_keys(Settings(home=tmp_path, client_key=None, ops_key=SecretStr("mine"), admin_key=None))

    assert keys.ops == "mine"
    assert keys.environment()["TUWEN_OPS_KEY"] == "mine"
