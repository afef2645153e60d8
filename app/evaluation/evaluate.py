"""The stores -> everything that `tuwen evaluate` tells: each protocol on the log in them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from app.errors import BadInput
from app.evaluation.asked import BEHAVIOUR, Asked, Tell
from app.evaluation.log import read_log
from app.evaluation.prediction_rows import prediction_protocol
from app.evaluation.ranking_rows import rank_protocol
from app.evaluation.report import prediction_figures, ranking_figures
from app.plan import TrainingPlan
from app.storage.postgres import sync_engine
from app.storage.stores import Stores


async def evaluate_log(
    stores: Stores, plan: TrainingPlan, sizes: dict[str, object], *, asked: Asked, tell: Tell
) -> dict[str, Any]:
    """Figures as plain values. Raises BadInput when the log has too little to measure on."""
    began = time.monotonic()
    tell("reading the log")
    engine = sync_engine(stores.addresses.database_url)
    log = await read_log(stores, engine)
    engine.dispose()
    if not any(log.shown.values()):
        raise BadInput("there is no exposure log yet: run `tuwen import --exposures FILE` or POST /exposures first")
    protocols: dict[str, Any] = {}
    for name in asked.protocols:
        if name == BEHAVIOUR:
            told = await prediction_protocol(log, stores.settings, plan, sizes, asked=asked, tell=tell)
            protocols[name] = prediction_figures(told)
        else:
            rows = await rank_protocol(name, log, stores.settings, plan, sizes, asked=asked, tell=tell)
            protocols[name] = ranking_figures(rows)
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "log": {
            "posts": len(log.posts),
            "users": len(log.shown),
            "exposures": sum(map(len, log.shown.values())),
        },
        "seeds": asked.seeds,
        "plan": plan.as_json(),
        "network": dict(sizes),
        "protocols": protocols,
        "seconds": round(time.monotonic() - began, 1),
    }
