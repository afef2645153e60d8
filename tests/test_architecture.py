"""The rules of the layout, held by a walk over the syntax trees: who may import whom, and what nobody may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("app", "models", "demo", "migrations", "scripts")
SOURCES = sorted(file for folder in OURS for file in (ROOT / folder).rglob("*.py"))

# A part is a folder or a module of app/, or one of the other folders. Every part may import the words that all share.
WORDS = {"app.domain", "app.errors", "app.settings", "app.metrics", "app.tracing"}
ARROWS: dict[str, set[str]] = {
    "models": set(),
    "app.domain": set(),
    "app.errors": set(),
    "app.settings": {"app.errors"},
    "app.metrics": {"app.domain"},
    "app.tracing": {"app.settings", "app.errors"},
    "app.console": WORDS,
    "app.opening": {*WORDS, "app.storage"},
    "app.plan": {*WORDS, "app.samples", "models"},
    "app.storage": {*WORDS, "migrations"},
    "app.doctor": {*WORDS, "app.plan", "app.storage", "app.candidates"},
    "app.intake": {*WORDS, "app.storage"},
    "app.samples": {*WORDS, "app.storage", "models"},
    "app.training": {*WORDS, "app.plan", "app.storage", "app.samples", "app.candidates", "models"},
    "app.candidates": {*WORDS, "app.plan", "app.storage", "app.samples", "models"},
    "app.references": {*WORDS, "app.storage"},
    "app.recommend": {*WORDS, "app.storage", "app.references", "app.candidates", "app.samples"},
    # The only part that both trains and serves: it asks of the two together how good they are.
    "app.evaluation": {
        *WORDS,
        "app.plan",
        "app.storage",
        "app.intake",
        "app.samples",
        "app.training",
        "app.candidates",
        "app.references",
        "app.recommend",
        "models",
    },
    "app.api": {*WORDS, "app.storage", "app.intake", "app.recommend", "app.candidates"},
    "app.pages": {*WORDS, "app.storage", "app.intake", "app.recommend", "app.candidates"},
    "migrations": {*WORDS, "app.storage"},
}
# These may import every part; no part imports them.
WIRING = {
    "app.main",
    "app.server",
    "app.workers",
    "app.trainer",
    "app.cli",
    "app.commands",
    "app.upkeep",
    "demo",
    "scripts",
}

# Package -> the only places that may import it.
FENCES: dict[str, tuple[str, ...]] = {
    "torch": ("models/", "app/training/", "app/samples/", "app/candidates/", "app/evaluation/", "scripts/"),
    "faiss": ("app/candidates/index.py", "scripts/"),
    "sqlalchemy": ("app/storage/", "migrations/"),
    "psycopg": ("app/storage/",),
    "alembic": ("app/storage/", "migrations/"),
    "redis": ("app/storage/",),
    "fastapi": ("app/api/", "app/pages/", "app/main.py", "scripts/bench_canned.py"),
    "starlette": ("app/api/", "app/pages/", "app/main.py", "scripts/bench_canned.py"),
    "opentelemetry": ("app/tracing.py",),
    "pickle": (),
    "joblib": (),
    "dill": (),
    "shelve": (),
    "marshal": (),
}
VAGUE_FILES = {"utils", "util", "helpers", "helper", "common", "base", "core", "manager", "misc", "tools", "shared"}
VAGUE_CLASSES = ("Manager", "Helper", "Util", "Utils", "Factory", "Registry")
FUNCTION_MAX_LINES = 45
FILE_MAX_LINES = 400


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def part(module: str) -> str:
    """`app.storage.posts` -> `app.storage`, `models.loss` -> `models`."""
    words = module.split(".")
    return ".".join(words[:2]) if words[0] == "app" else words[0]


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full module name of every import, wherever it stands."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(file)}:{node.lineno}: relative import"
            module = node.module or ""
            yield from ((node.lineno, f"{module}.{alias.name}" if module == "app" else module) for alias in node.names)


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public_functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of modules and methods of classes without a leading underscore, and every `forward`."""
    holders = [tree(file), *(node for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef))]
    for holder in holders:
        for node in holder.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node


def calls(file: Path, ending: str) -> Iterator[ast.Call]:
    """Calls of a function by the end of its dotted name."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(ending):
            yield node


def says_true(call: ast.Call, keyword: str) -> bool:
    return any(given.arg == keyword and ast.unparse(given.value) == "True" for given in call.keywords)


def test_every_part_of_the_source_has_its_arrows():
    parts = {part(name(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")) for file in SOURCES}

    assert parts - {"app"} == ARROWS.keys() | WIRING


@pytest.mark.parametrize("source", ARROWS)
def test_arrows_run_one_way(source):
    folder = ROOT / source.replace(".", "/")
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    allowed = {source, *ARROWS[source]}

    against = [
        f"{name(file)}:{line} imports {module}"
        for file in files
        for line, module in imports(file)
        if module.split(".")[0] in {*OURS, "tests"} and part(module) not in allowed
    ]

    assert against == []


@pytest.mark.parametrize("package", FENCES)
def test_packages_stay_inside_their_fence(package):
    outside = [
        f"{name(file)}:{line}"
        for file in SOURCES
        if not name(file).startswith(FENCES[package])
        for line, module in imports(file)
        if module.split(".")[0] == package
    ]

    assert outside == []


def test_only_the_settings_read_the_environment():
    may = {"app/settings.py", "app/__init__.py"}  # the latter tells OpenMP how to wait
    readers = [
        f"{name(file)}:{node.lineno}"
        for file in SOURCES
        if name(file) not in may and name(file).startswith(("app/", "models/"))
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]

    assert readers == []


def test_weights_are_loaded_without_running_code():
    loads = [
        f"{name(file)}:{call.lineno}"
        for file in SOURCES
        for call in calls(file, "torch.load")
        if not says_true(call, "weights_only")
    ]
    arrays = [
        f"{name(file)}:{call.lineno}"
        for file in SOURCES
        for call in calls(file, "load")
        if says_true(call, "allow_pickle")
    ]

    assert (loads, arrays) == ([], [])


def test_every_module_and_public_function_says_what_it_does():
    silent = [name(file) for file in SOURCES if file.read_text().strip() and not ast.get_docstring(tree(file))]
    silent += [
        f"{name(file)}:{node.lineno} {node.name}"
        for file in SOURCES
        if "migrations/versions" not in name(file)
        for node in public_functions(file)
        if not ast.get_docstring(node)
    ]

    assert silent == []


def test_every_forward_states_its_shapes():
    silent = [
        f"{name(file)}:{node.lineno}"
        for file in SOURCES
        for node in functions(file)
        if node.name == "forward" and "(" not in (ast.get_docstring(node) or "")
    ]

    assert silent == []


def test_names_say_what_a_thing_is():
    files = [name(file) for file in SOURCES if VAGUE_FILES & {*file.relative_to(ROOT).parent.parts, file.stem}]
    classes = [
        f"{name(file)}:{node.lineno} {node.name}"
        for file in SOURCES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef) and node.name.endswith(VAGUE_CLASSES)
    ]

    assert (files, classes) == ([], [])


def test_files_and_functions_stay_short_enough_to_read():
    files = [name(file) for file in SOURCES if len(file.read_text().splitlines()) > FILE_MAX_LINES]
    long = [
        f"{name(file)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for file in SOURCES
        if "migrations/versions" not in name(file)
        for node in functions(file)
        if node.end_lineno - node.lineno + 1 > FUNCTION_MAX_LINES
    ]

    assert (files, long) == ([], [])


def test_tests_use_the_real_thing():
    patched = [
        f"{name(file)}:{node.lineno}"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.arg) and node.arg in {"monkeypatch", "mocker"})
        or (isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node))
    ]

    assert patched == []
