"""What `tuwen doctor` finds: each lack of a real installation, and nothing where nothing is lacking."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from pydantic import SecretStr

from app.candidates.generation import REPORT, GenerationFolder
from app.candidates.reindex import run_reindex
from app.doctor import Finding, Grade, duration, examine
from app.domain import Role
from app.intake.files import import_files
from app.intake.posts import PostRecord, save_posts
from app.settings import Settings
from app.storage.keys import create_key
from app.storage.stores import Stores, open_stores
from tests.toy_world import ToyWorld

pytestmark = pytest.mark.anyio
WORLD = ToyWorld(posts_count=16, users_count=12, showings_each=20)


@pytest.fixture
def settings(settings: Settings, small_plan) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


async def import_world(stores: Stores) -> None:
    """The toy world's posts with their pictures, its users and its log."""
    folder = stores.settings.home / "files"
    folder.mkdir()
    posts, users, exposures = WORLD.import_lines()
    for post in WORLD.posts:
        (folder / f"{post.post_id}.png").write_bytes(WORLD.picture(post))
    named = {"posts": [post | {"picture": f"{post['post_id']}.png"} for post in posts], "users": users}
    files = {}
    for name, lines in (named | {"exposures": exposures}).items():
        files[name] = folder / f"{name}.jsonl"
        files[name].write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    await import_files(stores, **files)


def about(findings: list[Finding], grade: Grade) -> dict[str, str]:
    """What the findings of a grade are about -> facts and remedies."""
    found: dict[str, str] = {}
    for one in findings:
        if one.grade is grade:
            found[one.about] = f"{found.get(one.about, '')} {one.fact} -> {one.remedy}"
    return found


def run_sql(settings: Settings, *statements: str) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_new_installation_lacks_posts_exposures_and_a_generation(settings: Settings) -> None:
    problems = about(await examine(settings), Grade.PROBLEM)

    assert problems.keys() == {"posts", "exposures", "generation"}
    assert "tuwen import --posts" in problems["posts"]
    assert "tuwen reindex" in problems["generation"]


async def test_a_store_that_is_away_is_a_problem_and_not_an_error(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    no_redis = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})

    assert "TUWEN_DATABASE_URL" in about(await examine(away), Grade.PROBLEM)["stores"]
    assert "TUWEN_REDIS_URL" in about(await examine(no_redis), Grade.PROBLEM)["Redis"]


async def test_a_log_is_judged_by_what_it_lacks(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await import_world(stores)

    found = await examine(settings)

    notes, problems = about(found, Grade.NOTE), about(found, Grade.PROBLEM)
    assert "240 to 12 users" in notes["exposures"]  # too few to learn much
    assert "share" in notes["behaviours"]
    assert {"exposures", "posts"}.isdisjoint(problems)
    assert "generation" in problems


async def test_missing_pictures_likes_and_positions_and_late_clocks_are_told(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await import_world(stores)
    run_sql(
        settings,
        "UPDATE posts SET picture_status = 'unreadable', picture_hash = NULL",
        "DELETE FROM behaviours WHERE kind = 'like'",
        "UPDATE exposures SET position = NULL, shown_at = arrived_at + interval '1 hour'",
    )

    found = await examine(settings)

    notes, problems = about(found, Grade.NOTE), about(found, Grade.PROBLEM)
    assert "16 have no picture, 16 of them because" in notes["pictures"]
    assert "no likes" in notes["behaviours"]
    assert "position" in notes["exposures"]
    assert "clocks are ahead" in problems["exposures"]


async def test_a_silent_log_a_failed_job_and_a_stale_or_damaged_generation_are_problems(stores: Stores) -> None:
    settings = stores.settings
    await save_posts(stores, [PostRecord(post_id="p1", title="海鲜面", category="food")])
    generation = await run_reindex(stores, requested_by="test")
    run_sql(
        settings,
        "INSERT INTO exposures (exposure_id, user_id, post_id, shown_at, arrived_at)"
        " SELECT 'e1', 'u1', 'p1', now() - interval '3 days', now() - interval '3 days'",
        "INSERT INTO jobs (job_id, kind, state, error, finished_at)"
        " VALUES ('t1', 'train', 'failed', 'the disk is full', now())",
    )
    hasty = settings.model_copy(update={"reindex_interval_minutes": 1e-9})

    problems = about(await examine(hasty), Grade.PROBLEM)
    (settings.generations / generation / REPORT).write_text("{}")
    damaged = about(await examine(settings), Grade.PROBLEM)

    assert "3 days" in problems["exposures"]
    assert "the disk is full" in problems["jobs"]
    assert "tuwen trainer" in problems["generation"]
    assert "damaged" in damaged["generation"]


async def test_a_whole_installation_has_no_problem(stores: Stores) -> None:
    for role in Role:
        await create_key(stores.database, role=role, name="test")
    await import_world(stores)
    await run_reindex(stores, requested_by="test")

    found = await examine(stores.settings)

    assert about(found, Grade.PROBLEM) == {}
    assert {"PostgreSQL", "Redis", "disk", "posts", "generation"} <= about(found, Grade.GOOD).keys()
    assert GenerationFolder(stores.settings.generations).current()


@pytest.mark.parametrize(
    ("span", "words"),
    [(timedelta(seconds=90), "90 seconds"), (timedelta(hours=3), "3 hours"), (timedelta(days=5), "5 days")],
)
def test_durations_are_in_the_unit_a_person_would_choose(span, words):
    moment = datetime.now(UTC)

    assert duration((moment + span - moment).total_seconds()) == words
