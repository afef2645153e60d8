"""The documents against the code: what they name exists, and what exists they name."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from app.api.answers import RecommendAnswer
from app.api.recommend_bodies import RecommendBody
from app.candidates.generation import CURVES, MANIFEST, POINTER, REQUIRED
from app.cli import _parser
from app.intake.event_records import ActRecord
from app.intake.lines import BehaviourLine, ExposureLine, PostLine, UserLine
from app.metrics import Metrics
from app.plan import Gate, TrainingPlan, load_plan
from app.samples.history import HistoryLimits
from app.settings import Settings
from app.training.fit import Curves
from app.training.gate import Check, Verdict
from app.training.report import CycleReport
from models.sizes import NetworkSizes

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
OPERATIONS, SETTINGS, FILES, STORES, MONITORING, TRAINING, DEPENDENCIES = (
    (ROOT / "docs" / f"{name}.md").read_text()
    for name in ("operations", "settings", "files", "stores", "monitoring", "training", "dependencies")
)
NO_CODE = {"__init__.py"}


def blocks(text: str, language: str) -> list[str]:
    """The fenced code of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def rows(text: str) -> list[str]:
    """The rows of all tables."""
    return [line for line in text.splitlines() if line.startswith("|")]


def tree() -> Iterator[tuple[str, str]]:
    """Path and remark of each line of the README's tree."""
    folders: list[str] = []
    for line in blocks(README, "text")[0].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, remark = re.split(r"\s+", line.strip(), maxsplit=1)
        folders = [*folders[:depth], name]
        yield "".join(folders), remark


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that runs something, by its words."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not found:
        yield parser.prog, parser
    for command in {id(one): one for action in found for one in action.choices.values()}.values():
        yield from commands(command)


def toml_defaults() -> dict[str, dict[str, object]]:
    return tomllib.loads(blocks(TRAINING, "toml")[0])


def test_the_tree_of_the_readme_names_every_source_file():
    named = {path for path, _ in tree() if not path.endswith("/")}
    sources = {
        file.relative_to(ROOT).as_posix()
        for folder in ("app", "models")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.name not in NO_CODE
    }

    assert sources - named == set()


def test_the_tree_of_the_readme_names_nothing_else_and_nothing_twice():
    paths = [path for path, _ in tree()]

    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert len(paths) == len(set(paths))


def test_every_line_of_the_tree_has_a_remark():
    assert [path for path, remark in tree() if len(remark) < 5] == []


def test_the_request_and_the_answer_of_the_readme_are_of_the_api():
    request = re.search(r"-d '(\{.*?\})'", README)
    answer = json.loads(blocks(README, "json")[0])

    assert request is not None
    RecommendBody.model_validate_json(request[1])
    RecommendAnswer.model_validate(answer)
    assert answer.keys() == RecommendAnswer.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name):
    variable = f"TUWEN_{name.upper()}"
    default = Settings.model_fields[name].default
    shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else str(default)

    row = next((row for row in rows(SETTINGS) if f"`{variable}`" in row.split("|")[1]), "")

    assert shown in row.split("|")[2], f"{variable}: {shown!r} is not in its row"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_setting_that_is_named_exists(document):
    known = {f"TUWEN_{name.upper()}" for name in Settings.model_fields}

    assert set(re.findall(r"\bTUWEN_[A-Z_]*[A-Z]\b", document.read_text())) <= known


@pytest.mark.parametrize("words", [words for words, _ in commands(_parser())])
def test_every_command_is_documented_with_its_options(words):
    parser = dict(commands(_parser()))[words]
    line = next((row for row in rows(OPERATIONS) if re.search(rf"`{words}\b", row)), "")
    visible = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    options = [action.option_strings[-1] for action in visible if action.option_strings]

    assert line, f"{words} is not in the table"
    assert [option for option in options if option not in line] == []


def test_every_command_that_is_named_exists():
    known = {words.split()[1] for words, _ in commands(_parser())}
    named = {word for file in DOCUMENTS for word in re.findall(r"`tuwen ([\w-]+)", file.read_text())}

    assert named <= known


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for file in DOCUMENTS for word in re.findall(r"(?:`|^)make ([\w-]+)", file.read_text(), re.MULTILINE)}

    assert named <= targets


@pytest.mark.parametrize("line", [PostLine, UserLine, ExposureLine, BehaviourLine, ActRecord])
def test_every_column_of_a_file_is_documented(line):
    assert [name for name in line.model_fields if not re.search(rf'[`"]{name}[`"]', FILES)] == []


def test_every_metric_is_documented_and_no_other():
    families = [one for one in Metrics().registry.collect() if one.name.startswith("tuwen_")]
    known = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    named = {row.split("|")[1].strip(" `") for row in rows(MONITORING) if "`tuwen_" in row.split("|")[1]}

    assert named == known


@pytest.mark.parametrize("file", [*REQUIRED, CURVES, MANIFEST, POINTER])
def test_every_file_of_a_generation_is_documented(file):
    assert f"`{file}`" in STORES


def test_the_plan_of_the_training_page_is_the_default_one():
    given = toml_defaults()
    chosen = {**given["network"], "picture_width": 0, "title_width": 0}

    defaults = {one.name: one.default for one in fields(NetworkSizes) if isinstance(one.default, int | str)}
    assert {name: chosen[name] for name in defaults} == defaults
    assert chosen.keys() == {one.name for one in fields(NetworkSizes)}


def test_the_plan_of_the_training_page_can_be_used(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(blocks(TRAINING, "toml")[0])

    plan, sizes = load_plan(file)

    assert plan == TrainingPlan()
    assert sizes.keys() == toml_defaults()["network"].keys()


def test_every_entry_of_the_plan_is_documented():
    entries = {one.name for kind in (TrainingPlan, Gate, HistoryLimits, NetworkSizes) for one in fields(kind)} - {
        "history"
    }

    assert [name for name in entries if not re.search(rf"\b{name}\b", TRAINING)] == []


def test_every_field_of_the_report_is_documented():
    names = {one.name for kind in (CycleReport, Curves, Verdict, Check) for one in fields(kind)}

    assert [name for name in names if f"`{name}`" not in TRAINING] == []


@pytest.mark.parametrize("lock", ["runtime.in", "traces.in", "dev.in", "bench.in"])
def test_every_dependency_is_explained(lock):
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    names = [re.split(r"[\[<>=; ]", line)[0] for line in lines if line and line[0] not in "#-"]

    assert [name for name in names if not any(row.startswith(f"| `{name}` |") for row in rows(DEPENDENCIES))] == []


def test_no_other_dependency_is_explained():
    wanted = "".join(file.read_text() for file in (ROOT / "requirements").glob("*.in"))
    explained = [found[1] for row in rows(DEPENDENCIES) if (found := re.match(r"\| `([\w-]+)` \|", row))]

    assert [name for name in explained if not re.search(rf"^{name}\b", wanted, re.MULTILINE)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]

    for link in links:
        path, _, heading = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    words = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", word.lower()).replace(" ", "-") for word in words}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_file_that_is_named_exists(document):
    named = re.findall(
        r"`((?:app|models|demo|scripts|migrations|requirements|tests|docs)/[\w./-]+)`", document.read_text()
    )

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_has_its_place_in_the_site():
    places = re.findall(r": ([\w.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)

    assert sorted(places) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_the_changelog_knows_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_row_of_the_scoreboard_that_is_tested_is_in_its_table():
    tests = sorted((ROOT / "tests" / "trust").glob("test_*.py"))
    tested = {int(number) for file in tests for number in re.findall(r"mark\.trust\((\d+)\)", file.read_text())}
    numbers = [re.match(r"\| (\d+) \|", row) for row in rows((ROOT / "docs" / "trust.md").read_text())]
    listed = [int(found[1]) for found in numbers if found]

    assert listed == list(range(1, 31))
    assert tested <= set(listed)
