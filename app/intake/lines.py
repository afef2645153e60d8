"""One line of an import file: the records of HTTP, and what only a file can say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.fields import Moment
from app.intake.posts import PostRecord
from app.intake.users import UserRecord

# Columns of no meaning here do no harm, but they are counted: a misspelt one should not go unnoticed.
LINE = ConfigDict(strict=True, frozen=True, extra="allow")

PicturePath = Annotated[str, StringConstraints(max_length=1000, pattern=r"^\P{Cc}*$")]


class PostLine(PostRecord):
    """A post with its picture beside the file. What an export adds, so that nothing is lost, comes last."""

    model_config = LINE

    picture: PicturePath | None = None  # none leaves the picture that is there
    picture_status: Literal["none", "stored", "missing", "unreadable", "too_large"] | None = None
    hidden: bool | None = None
    pinned_at: Moment | None = None  # none leaves it pinned or not, as it is
    deleted_at: Moment | None = None


class UserLine(UserRecord):
    """A user."""

    model_config = LINE


class ExposureLine(ExposureRecord):
    """An exposure with its behaviours."""

    model_config = LINE


class BehaviourLine(BehaviourRecord):
    """A behaviour by itself. Without a time it would be another one at every import."""

    model_config = LINE

    at: Moment


Line = PostLine | UserLine | ExposureLine | BehaviourLine
