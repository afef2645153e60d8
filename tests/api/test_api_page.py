"""docs/api.md against the service."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.api.answers import Problem
from app.api.problems import BUSY, INVALID, NOT_READY, OF_ERRORS, OF_STATUSES, UNEXPECTED
from app.api.schemas import RecommendBody

pytestmark = pytest.mark.anyio
PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


async def test_the_page_lists_every_call_with_its_role(app: FastAPI) -> None:
    listed = set(re.findall(r"^\| `([A-Z]+ /\S*)` \| (\w+) \|", PAGE, re.MULTILINE))

    paths = app.openapi()["paths"].items()
    served = {(f"{method.upper()} {path}", one["x-role"]) for path, methods in paths for method, one in methods.items()}
    assert listed == served


async def test_the_page_lists_every_kind_of_problem() -> None:
    listed = {(slug, int(status)) for slug, status in re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE)}

    kinds = {BUSY, INVALID, NOT_READY, UNEXPECTED, *OF_ERRORS.values(), *OF_STATUSES.values()}
    assert listed == {(kind.slug, kind.status) for kind in kinds}


async def test_the_examples_of_the_page_are_what_they_say() -> None:
    request, problem = EXAMPLES

    assert RecommendBody.model_validate(request).to_request().k == 20
    assert Problem.model_validate(problem).status == 422
    assert set(request) == set(RecommendBody.model_fields)
