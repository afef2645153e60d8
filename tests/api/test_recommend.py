from __future__ import annotations

import httpx
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]


async def test_a_new_user_gets_a_full_page_with_reasons(client: httpx.AsyncClient, generation: str) -> None:
    answer = await client.post("/recommend", json={"user_id": "new", "k": 3})

    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["generation"] == generation
    assert len(page["items"]) == 3
    print(page)
