"""The command line as a person meets it: what it prints, its exit codes, and one line for every mistake."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from app.cli import _loaded, _parser, main
from app.console import table
from app.settings import Settings
from tests.test_docs import commands
from tests.toy_world import ToyWorld

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
WORLD = ToyWorld(posts_count=16, users_count=12, showings_each=20)
LOADED = multiprocessing.get_context("forkserver")  # loading torch anew for each of the commands would take a minute
LOADED.set_forkserver_preload(["app.cli", "app.commands", "app.upkeep"])


def tuwen(arguments: tuple[str, ...], environment: dict[str, str], folder: Path, output: Path) -> None:
    """`tuwen` in a process of its own, which has loaded already what it needs."""
    with output.open("wb") as seen:
        os.dup2(seen.fileno(), 1)
        os.dup2(seen.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tuwen", *arguments]
    main()


class Terminal:
    """Runs `tuwen` with settings of its own; the output is what a person sees."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self._numbers = count(1)

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        seen = self.folder / f"output-{next(self._numbers)}"
        process = LOADED.Process(target=tuwen, args=(arguments, self.environment | environment, self.folder, seen))
        process.start()
        process.join(120)
        process.kill()
        output = seen.read_text()
        assert process.exitcode == code, output
        assert "Traceback" not in output
        return output


def test_words_of_a_table_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table("kept [/b]", ["title", "[red]"], [["Sale [/b] now", "[sold]"]])

    shown = capsys.readouterr().out
    assert all(words in shown for words in ("kept [/b]", "Sale [/b] now", "[sold]"))


@pytest.fixture
def terminal(settings: Settings, small_plan: Path, tmp_path: Path) -> Terminal:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUWEN_")} | {
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "150",
        "TUWEN_HOME": str(settings.home),
        "TUWEN_DATABASE_URL": settings.database_url.get_secret_value(),
        "TUWEN_REDIS_URL": settings.redis_url.get_secret_value(),
        "TUWEN_PLAN": str(small_plan),
        "TUWEN_THREADS": "1",
    }
    return Terminal(environment, tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The toy world as import files, pictures beside them."""
    for post in WORLD.posts:
        (tmp_path / f"{post.post_id}.png").write_bytes(WORLD.picture(post))
    posts, users, exposures = WORLD.import_lines()
    rows = {"posts": [post | {"picture": f"{post['post_id']}.png"} for post in posts], "users": users}
    rows["exposures"] = exposures
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return {name: str(tmp_path / f"{name}.jsonl") for name in rows}


def test_nothing_heavy_is_loaded_for_help_or_for_the_parent_of_workers():
    told = "import sys, app.cli, app.workers; print({'torch', 'faiss', 'fastapi'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"


def test_every_command_leads_to_a_function():
    for words, parser in commands(_parser()):
        run = parser.get_default("run")
        assert words == "tuwen serve" if run is None else callable(_loaded(run)), words


def test_import_train_recommend_export_and_status(terminal, files, tmp_path):
    given = [word for name, file in files.items() for word in (f"--{name}", file)]

    imported = terminal.run("import", *given)
    again = terminal.run("import", *given)
    trained = terminal.run("train")
    recommended = terminal.run("recommend", "u1", "-k", "5")
    chosen = (
        "--protocol",
        "behaviour",
        "--rows",
        "like-rate",
        "--seeds",
        "1",
        "--json",
        str(tmp_path / "figures.json"),
    )
    evaluated = terminal.run("evaluate", *chosen)
    terminal.run("export", str(tmp_path / "out"))
    status = terminal.run("status")

    assert "posts: 16 new, 0 known, 0 rejected" in imported
    assert "exposures: 240 new" in imported
    assert "pictures: 16 stored" in imported
    assert "exposures: 0 new, 240 known" in again
    assert "training:" in trained
    assert "recall@10" in trained
    assert "own" in recommended or "popular" in recommended
    assert "behaviour prediction, warm" in evaluated
    assert json.loads((tmp_path / "figures.json").read_text())["log"] == {"posts": 16, "users": 12, "exposures": 240}
    assert len((tmp_path / "out" / "exposures.jsonl").read_text().splitlines()) == 240
    assert "trained, 16 posts" in status
    assert "Redis: answers" in status


def test_a_bad_line_is_told_and_stops_nothing_but_the_exit_code_says_so(terminal, files, tmp_path):
    (tmp_path / "posts.jsonl").write_text('{"post_id": "a", "title": "A"}\nnonsense\n{"post_id": "b", "title": "B"}\n')

    told = terminal.run("import", "--posts", files["posts"], code=1)

    assert "posts: 2 new, 0 known, 1 rejected" in told
    assert "rejected lines are in" in told.replace("\n", " ")


def test_keys_are_made_listed_and_revoked(terminal):
    made = terminal.run("keys", "create", "ops", "--name", "night shift").split()
    terminal.run("keys", "revoke", made[0])
    listed = terminal.run("keys", "list")

    assert made[0] in listed
    assert "night shift" in listed
    assert "revoked" in listed
    assert made[2] not in listed, "a secret is shown once only"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "--posts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["import"], "--posts"),
        (["train"], "no exposure log yet"),
        (["evaluate"], "no exposure log yet"),
        (["recommend", "u1"], "tuwen reindex"),
        (["keys", "revoke", "nothing"], "tuwen keys list"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(terminal, arguments, told):
    lines = terminal.run(*arguments, code=1).strip().splitlines()

    assert lines[-1].startswith("tuwen: ")
    assert told in lines[-1]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TUWEN_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none", "TUWEN_DATABASE_URL"),
        ("TUWEN_DATABASE_URL", "mysql://somewhere/none", "TUWEN_DATABASE_URL"),
        ("TUWEN_PORT", "99999", "TUWEN_PORT"),
        ("TUWEN_LOG_LEVEL", "loud", "TUWEN_LOG_LEVEL"),
        ("TUWEN_PLAN", "nowhere.toml", "nowhere.toml"),
        ("TUWEN_HOME", "/proc/tuwen", "TUWEN_HOME"),
    ],
)
def test_a_setting_that_cannot_work_is_named(terminal, variable, value, told):
    lines = terminal.run("reindex", code=1, **{variable: value}).strip().splitlines()

    assert told in lines[-1]


def test_the_help_names_every_command():
    told = subprocess.run(
        [sys.executable, "-m", "app.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for command in (
        "serve",
        "trainer",
        "train",
        "reindex",
        "import",
        "export",
        "evaluate",
        "recommend",
        "keys",
        "status",
    ):
        assert command in told
