"""docs/api.md and docs/errors.md against the service."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.api import problems
from app.api.answers import Problem
from app.api.problems import OF_ERRORS, OF_STATUSES, ProblemKind
from app.api.recommend_bodies import RecommendBody
from app.recommend.request import Language

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parents[2] / "docs"
PAGE, ERRORS = ((DOCS / name).read_text() for name in ("api.md", "errors.md"))
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def problem_kinds() -> set[ProblemKind]:
    """Every kind that the service can answer with, wherever it is declared."""
    tables = {*OF_ERRORS.values(), *OF_STATUSES.values()}
    return tables | {value for value in vars(problems).values() if isinstance(value, ProblemKind)}


async def test_the_page_lists_every_call_with_its_role(app: FastAPI) -> None:
    listed = set(re.findall(r"^\| `([A-Z]+ /\S*)` \| (\w+) \|", PAGE, re.MULTILINE))

    paths = app.openapi()["paths"].items()
    served = {(f"{method.upper()} {path}", one["x-role"]) for path, methods in paths for method, one in methods.items()}
    assert listed == served


async def test_every_kind_of_problem_is_explained_with_its_status_cause_and_mend() -> None:
    explained = {
        (slug, int(status))
        for slug, status in re.findall(
            r"^## ([a-z-]+)\n\n(\d+)\. \*\*Cause:\*\*(?:.|\n(?!#))*\*\*Mend:\*\*", ERRORS, re.MULTILINE
        )
    }

    assert explained == {(kind.slug, kind.status) for kind in problem_kinds()}


async def test_the_examples_of_the_page_are_what_they_say() -> None:
    request, problem = EXAMPLES

    assert RecommendBody.model_validate(request).to_request_of_user({}, language=Language.ENGLISH).k == 20
    assert Problem.model_validate(problem).status == 422
    assert set(request) == set(RecommendBody.model_fields)
