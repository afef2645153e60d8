"""Log records -> one JSON object per line, with the id of the request they belong to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from app.api.problems import current_request_id
from app.tracing import current_trace_id


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object; an exception goes along with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id.get(),
        }
        trace_id = current_trace_id()
        if trace_id is not None:
            line["trace_id"] = trace_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def write_log_lines(level: str) -> None:
    """Let this process log in JSON lines from `level` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Statements and their values belong to people; SQLAlchemy and httpx tell of them below WARNING.
    for chatty in ("sqlalchemy", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
