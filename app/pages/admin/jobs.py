"""`/admin/jobs`: reindexes and trainings, how far each is and how it ended."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.pages.admin.door import inside
from app.pages.admin.frame import frame_of
from app.pages.admin.sheets import sheet
from app.pages.rendering import page
from app.storage.jobs import latest_jobs

JOBS_SHOWN = 50
SHEET_ROWS_AT_MOST = 10_000


@inside.get("/jobs")
async def jobs(request: Request) -> Response:
    """The latest jobs; while one runs, the page's script keeps the table current."""
    frame = frame_of(request)
    found = await latest_jobs(frame.parts.stores.database, limit=JOBS_SHOWN)
    return frame.page("jobs.html", {"jobs": found}, room="jobs", title=frame.t("Jobs"))


@inside.get("/jobs/table")
async def jobs_table(request: Request) -> Response:
    """The table alone."""
    frame = frame_of(request)
    found = await latest_jobs(frame.parts.stores.database, limit=JOBS_SHOWN)
    return page("admin/jobs_table.html", {"jobs": found, "frame": frame, "t": frame.t})


@inside.get("/jobs.csv")
async def jobs_sheet(request: Request) -> Response:
    """All jobs."""
    found = await latest_jobs(frame_of(request).parts.stores.database, limit=SHEET_ROWS_AT_MOST)
    columns = ("job_id", "kind", "state", "requested_by", "created_at", "finished_at", "seconds", "generation", "error")
    rows = [[getattr(job, column) for column in columns] for job in found]
    return sheet("tuwen-jobs", columns, rows)
