"""The container files against the code they start; building and running them needs an engine, which tests do not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NAMES = {f"TUWEN_{field.upper()}" for field in Settings.model_fields}


@pytest.mark.parametrize("service", ["api", "trainer"])
def test_every_setting_of_a_service_exists(service):
    given = set(COMPOSE["services"][service]["environment"])

    assert given <= NAMES


def test_every_setting_of_the_image_exists():
    given = set(re.findall(r"\b(TUWEN_\w+)=", DOCKERFILE))

    assert {"TUWEN_HOME", "TUWEN_HOST", "TUWEN_PORT"} <= given <= NAMES


def test_every_secret_comes_from_the_example_file():
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    offered = {
        line.split("=")[0]
        for line in (ROOT / ".env.example").read_text().splitlines()
        if "=" in line and line[0] != "#"
    }

    assert asked == offered


def test_both_processes_are_one_image_and_two_commands():
    api, trainer = COMPOSE["services"]["api"], COMPOSE["services"]["trainer"]

    assert api["image"] == trainer["image"]
    assert (api["command"], trainer["command"]) == (["tuwen", "serve"], ["tuwen", "trainer"])


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_no_service_runs_with_more_rights_than_it_needs(service):
    description = COMPOSE["services"][service]

    assert description["read_only"] is True
    assert description["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in description["security_opt"]
    assert "user" in description or "\nUSER 10001\n" in DOCKERFILE


def test_only_the_api_is_reached_from_outside():
    published = [name for name, service in COMPOSE["services"].items() if "ports" in service]

    assert published == ["api"]


def test_the_image_copies_only_what_there_is():
    sources = [
        source
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in shlex.split(line)[1:-1]
    ]

    assert all((ROOT / source).exists() for source in sources)
