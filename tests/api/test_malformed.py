"""What no client should send: each must be answered with a problem, never with an error of ours or an echo."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.json_bodies import VALUES_AT_MOST

pytestmark = pytest.mark.anyio

CANARY = "Zq9canary7"
IN_A_BODY = {
    "nan": b'{"user_id": "Zq9canary7", "diversity": NaN}',
    "infinity": b'{"user_id": "Zq9canary7", "diversity": Infinity}',
    "minus infinity": b'{"user_id": "Zq9canary7", "diversity": -Infinity}',
    "beyond a double": b'{"user_id": "Zq9canary7", "diversity": 1e400}',
    "nan in an unknown field": b'{"user_id": 5, "Zq9canary7": NaN}',
    "5000 digits": b'{"user_id": "Zq9canary7", "k": ' + b"9" * 5000 + b"}",
    "lone surrogate": b'{"user_id": "Zq9canary7\\ud800"}',
    "lone surrogate in a wrong field": b'{"user_id": "u", "k": "Zq9canary7\\udfff"}',
    "surrogates in the wrong order": b'{"user_id": "Zq9canary7\\udc00\\ud800"}',
    "nul in an id": b'{"user_id": "Zq9canary7\\u0000"}',
    "control character in an id": b'{"user_id": "Zq9canary7\\u0007"}',
    "raw control character": b'{"user_id": "Zq9canary7\x07"}',
    "the same name twice": b'{"user_id": "Zq9canary7", "user_id": "other"}',
    "the same name twice, inside": b'{"user_id": "Zq9canary7", "filter": {"city": ["a"], "city": ["b"]}}',
    "invalid utf-8": b'{"user_id": "Zq9canary7\xff"}',
    "overlong utf-8": b'{"user_id": "Zq9canary7\xc0\xaf"}',
    "utf-8 with a mark": b'\xef\xbb\xbf{"user_id": "Zq9canary7\\u0000"}',
    "utf-16": '{"user_id": "Zq9canary7"}'.encode("utf-16"),
    "utf-32": '{"user_id": "Zq9canary7"}'.encode("utf-32"),
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep lists, within orjson's limit": b'{"user_id": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "unclosed": b'{"user_id": "Zq9canary7"',
    "trailing words": b'{"user_id": "Zq9canary7"} Zq9canary7',
    "a trailing comma": b'{"user_id": "Zq9canary7",}',
    "single quotes": b"{'user_id': 'Zq9canary7'}",
    "a comment": b'{"user_id": "Zq9canary7" /* x */}',
    "empty": b"",
    "blank": b"   ",
    "null": b"null",
    "a list": b'["Zq9canary7"]',
    "a word": b'"Zq9canary7"',
    "a number": b"5",
    "no user": b'{"k": 5}',
    "an empty id": b'{"user_id": ""}',
    "a long id": b'{"user_id": "' + b"Zq9canary7" * 13 + b'"}',
    "a number for an id": b'{"user_id": 17}',
    "a word for a number": b'{"user_id": "u", "k": "Zq9canary7"}',
    "a fraction for a count": b'{"user_id": "u", "k": 1.5}',
    "k of 0": b'{"user_id": "u", "k": 0}',
    "k of 101": b'{"user_id": "u", "k": 101}',
    "k of 2^70": b'{"user_id": "u", "k": 1180591620717411303424}',
    "an unknown field": b'{"user_id": "u", "Zq9canary7": 1}',
    "an unknown filter": b'{"user_id": "u", "filter": {"Zq9canary7": ["x"]}}',
    "an unknown behaviour": b'{"user_id": "u", "behaviour_weights": {"Zq9canary7": 1}}',
    "a negative weight": b'{"user_id": "u", "behaviour_weights": {"like": -1}}',
    "an unknown kind": b'{"user_id": "u", "session": [{"post_id": "p", "kind": "Zq9canary7"}]}',
    "a time without an offset": b'{"user_id": "u", "session": [{"post_id":"p","kind":"click","at":"2026-01-01"}]}',
    "a place off the earth": b'{"user_id": "u", "filter": {"near": {"latitude": 91, "longitude": 0, "radius_km": 1}}}',
    "a negative radius": b'{"user_id": "u", "filter": {"near": {"latitude": 1, "longitude": 0, "radius_km": -1}}}',
    "too many ids": b'{"user_id": "u", "exclude_post_ids": [' + b",".join([b'"Zq9canary7"'] * 1001) + b"]}",
    "a huge cursor": b'{"user_id": "u", "cursor": "' + b"Zq9canary7" * 100 + b'"}',
}
OF_ANOTHER_TYPE = {
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "nothing": "",
    "json in latin-1": "application/json; charset=latin-1",
    "a type that holds the word": "text/application/json",
    "broken": ";;;Zq9canary7",
}
IDS_IN_A_PATH = ["%00", "a%00b", "%0a", "x" * 129, "%7f", "%C2%85", ""]
IN_A_QUERY = [
    "",
    "user_id=",
    "user_id=%00",
    "user_id=u&k=Zq9canary7",
    "user_id=u&k=0",
    "user_id=u&k=1e400",
    "user_id=u&k=" + "9" * 5000,
    "user_id=u&include_seen=Zq9canary7",
    "user_id=u&category=%00",
    "user_id=" + "Zq9canary7" * 13,
]


def problem_of(answer: httpx.Response) -> dict[str, object]:
    """The problem of an answer that is one."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    problem: dict[str, object] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert str(problem["type"]).startswith("urn:tuwen:problem:")
    assert problem["title"]
    assert problem["detail"]
    return problem


CALLS = ["POST /recommend", "POST /exposures", "POST /behaviours", "POST /posts", "PUT /users/u1", "PATCH /posts/p1"]


@pytest.mark.parametrize("call", CALLS)
async def test_a_malformed_body_is_the_senders_problem(ops: httpx.AsyncClient, call: str) -> None:
    for name, body in IN_A_BODY.items():
        answer = await ops.request(*call.split(), content=body, headers={"Content-Type": "application/json"})

        assert problem_of(answer), name


async def test_a_body_of_another_type_is_not_read(client: httpx.AsyncClient) -> None:
    for name, media_type in OF_ANOTHER_TYPE.items():
        headers = {"Content-Type": media_type} if media_type else {}
        answer = await client.post("/recommend", content=b'{"user_id": "u1"}', headers=headers)

        assert problem_of(answer)["status"] == 415, name


async def test_a_compressed_body_is_not_unpacked(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert problem_of(await client.post("/recommend", content=b"\x1f\x8b", headers=headers))["status"] == 415


async def test_an_id_in_a_path_is_checked_like_any_other(client: httpx.AsyncClient) -> None:
    for path in (f"/posts/{one}" for one in IDS_IN_A_PATH):
        assert problem_of(await client.get(path))["status"] == 422, path


async def test_parameters_are_checked_like_a_body(client: httpx.AsyncClient) -> None:
    for query in IN_A_QUERY:
        assert problem_of(await client.get(f"/recommend?{query}"))["status"] == 422, query


async def test_a_problem_says_where_and_why(client: httpx.AsyncClient) -> None:
    near = {"latitude": 31, "longitude": 121, "radius_km": 0}

    answer = await client.post("/recommend", json={"user_id": "u1", "k": 101, "filter": {"near": near}})

    assert problem_of(answer)["errors"] == [
        {"location": "body.k", "message": "should be less than or equal to 100"},
        {"location": "body.filter.near.radius_km", "message": "should be greater than 0"},
    ]


async def test_malformed_json_says_at_which_line(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await client.post("/recommend", content=b'{\n"user_id": nope}', headers=headers)

    assert problem_of(answer)["detail"] == "the body is no valid JSON at line 2, column 12"


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    missing = await client.get(f"/{CANARY}")
    wrong = await client.post("/posts/p1/picture")

    assert problem_of(missing)["type"] == "urn:tuwen:problem:unknown-path"
    assert problem_of(wrong)["status"] == 405
    assert {"GET", "PUT"} <= set(wrong.headers["allow"].split(", "))


async def test_a_body_above_the_limit_is_refused_by_its_stated_length(client: httpx.AsyncClient, settings) -> None:
    body = b"x" * (settings.request_max_bytes + 1)

    answer = await client.post("/recommend", content=body, headers={"Content-Type": "application/json"})

    assert problem_of(answer)["status"] == 413
    assert answer.headers["connection"] == "close"


async def test_a_body_above_the_limit_is_refused_while_it_arrives(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield b" " * (1 << 20)

    answer = await client.post("/recommend", content=endless(), headers={"Content-Type": "application/json"})

    assert problem_of(answer)["status"] == 413
    assert sent <= 10 << 20


async def test_a_body_of_too_many_values_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    most, more = (b"[" + b",".join([b"1"] * count) + b"]" for count in (VALUES_AT_MOST, VALUES_AT_MOST + 1))

    read, refused = [await client.post("/recommend", content=body, headers=headers) for body in (most, more)]

    assert problem_of(read)["status"] == 422  # it is no object
    assert problem_of(refused)["type"] == "urn:tuwen:problem:too-large"
    assert "200000 values at most" in str(problem_of(refused)["detail"])


async def test_the_largest_honest_batch_is_taken(client: httpx.AsyncClient) -> None:
    act = {"kind": "click", "at": "2026-03-01T12:00:07+08:00", "behaviour_id": "b"}
    fields = {"user_id": "u1", "post_id": "p1", "shown_at": "2026-03-01T12:00:00+08:00", "position": 0, "scene": "home"}
    shown = {"exposure_id": "e", **fields, "recommendation_id": "r", "behaviours": [act] * 45}

    answer = await client.post("/exposures", json={"exposures": [shown] * 1000})

    assert answer.status_code == 200, answer.text


async def test_the_callers_request_id_comes_back_when_it_can_be_used(client: httpx.AsyncClient) -> None:
    good = await client.get("/health/live", headers={"X-Request-Id": "trace-7.A_b"})
    bad = await client.get("/health/live", headers={"X-Request-Id": "with space" + "x" * 90})

    assert good.headers["x-request-id"] == "trace-7.A_b"
    assert bad.headers["x-request-id"] != "with space" + "x" * 90
    assert len(json.dumps(bad.headers["x-request-id"])) < 70
