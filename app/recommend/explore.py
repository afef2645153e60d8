"""A page -> the same page with a small share of its places given to new posts by chance, and how likely that was.

Without chance a new post is shown only where the networks put it already, and a log of such pages cannot tell how it
would have done elsewhere. The probability is logged with each showing, so that an evaluation can correct for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from math import floor
from random import Random

import numpy as np

from app.candidates.view import CandidateView
from app.recommend.choose import Choice, Exploration
from app.recommend.request import RecommendRequest

EXPLORATION_SHARE = 0.02  # where neither scene nor request says
NEW_FOR = timedelta(days=7)  # since its publication
NEW_POSTS_AT_MOST = 100  # the newest that may have a place
LOOKED_AT = 2000  # newest posts among which these are looked for


def explored(
    view: CandidateView, request: RecommendRequest, choice: Choice, *, moment: datetime, chance: Random
) -> Choice:
    """The choice with `exploration_share` of its places given to new posts, as far as there are any.

    Each place but those of pinned posts has the same probability, and so has each of the new posts that are not on the
    page already.
    """
    pinned, page = len(choice.pinned_rows), len(choice.rows)
    if not request.exploration_share or page == pinned:
        return choice
    pool = choice.room.admitted(_new_posts(view, choice, moment))
    if not pool:
        return choice
    wanted = request.exploration_share * (page - pinned)
    fewer, more = min(floor(wanted), len(pool)), min(floor(wanted) + 1, len(pool))
    upper = wanted - floor(wanted)  # probability of one more
    count = more if chance.random() < upper else fewer
    # Two new posts with near copies of a picture would not both be taken: so rare that the share stands as it is.
    taken = [row for row in chance.sample(pool, count) if choice.room.takes(row)]
    places = chance.sample(range(pinned, page), len(taken))
    share = (upper * more + (1 - upper) * fewer) / (page - pinned)
    return replace(choice, exploration=Exploration(share, len(pool), dict(zip(places, taken, strict=True))))


def _new_posts(view: CandidateView, choice: Choice, moment: datetime) -> list[int]:
    """Rows of the newest posts that may be recommended and are not on the page."""
    newest = view.latest_first[:LOOKED_AT].astype(np.int64)
    since = (moment - NEW_FOR).timestamp()
    newest = newest[choice.passing.mask[newest] & (view.columns.published_at[newest] > since)]
    on_page = set(choice.rows.tolist())
    some = newest[: NEW_POSTS_AT_MOST + len(on_page)].tolist()
    return [row for row in some if row not in on_page][:NEW_POSTS_AT_MOST]
