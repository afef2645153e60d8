"""`/experiments`: arms compared in one scene, and what came of each."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.audited import note
from app.api.guarded import GuardedRoute
from app.api.json_bodies import json_answer
from app.api.keys import ADMIN, OPS
from app.api.scene_answers import ExperimentAnswer, ExperimentFigures, ExperimentsAnswer
from app.api.scene_bodies import ExperimentBody, PathName
from app.api.state import State
from app.domain import BEHAVIOUR_KINDS
from app.errors import UnknownId
from app.recommend.arms import wilson_interval
from app.storage.experiments import (
    ArmCounts,
    counts_of_arms,
    end_experiment,
    experiment_named,
    list_experiments,
    start_experiment,
)

NO_SUCH_EXPERIMENT = "there is no experiment of this name; GET /experiments lists them"
NOTHING_SHOWN = ArmCounts(users=0, showings=0, acted={})

router = APIRouter(route_class=GuardedRoute, tags=["scenes"])


@router.get("/experiments", dependencies=[OPS], response_model=ExperimentsAnswer)
async def get_experiments(state: State) -> Response:
    """All experiments, those that have ended too."""
    found = await list_experiments(state.stores.database)
    return json_answer({"experiments": [asdict(one) for one in found]})


@router.get("/experiments/{experiment}", dependencies=[ADMIN], response_model=ExperimentFigures)
async def get_experiment(experiment: PathName, state: State) -> Response:
    """What came of each arm: showings, and for each behaviour the share of them that was acted on so.

    The interval takes each showing for itself. Those of one user are alike, so the truth is a little wider.
    """
    found = await experiment_named(state.stores.database, experiment)
    if found is None:
        raise UnknownId(NO_SUCH_EXPERIMENT)
    counts = await counts_of_arms(state.stores.database, experiment)
    figures = [_figures(arm.name, counts.get(arm.name, NOTHING_SHOWN)) for arm in found.arms]
    return json_answer({**asdict(found), "figures": figures})


@router.put("/experiments/{experiment}", dependencies=[OPS], response_model=ExperimentAnswer)
async def put_experiment(experiment: PathName, body: ExperimentBody, request: Request, state: State) -> Response:
    """Start an experiment: from now on a user of the scene belongs to one arm, by a hash of both names.

    Each scene has one at a time, and none is changed while it runs: end it and start another. Sending it again is
    harmless.
    """
    started = await start_experiment(state.stores.database, experiment, scene=body.scene, arms=body.to_arms())
    note(request, after=asdict(started))
    await state.scenes.read()
    return json_answer(asdict(started))


@router.delete("/experiments/{experiment}", dependencies=[OPS], status_code=204, response_class=Response)
async def delete_experiment(experiment: PathName, state: State) -> Response:
    """End an experiment. Its figures stay, and its name is not used again."""
    if not await end_experiment(state.stores.database, experiment):
        raise UnknownId(NO_SUCH_EXPERIMENT)
    await state.scenes.read()
    return Response(status_code=204)


def _figures(name: str, counts: ArmCounts) -> dict[str, object]:
    behaviours = {}
    for kind in BEHAVIOUR_KINDS:
        acted = counts.acted.get(kind, 0)
        low, high = wilson_interval(acted, counts.showings)
        rate = acted / counts.showings if counts.showings else None
        behaviours[kind.value] = {"acted": acted, "rate": rate, "low": low, "high": high}
    return {"name": name, "users": counts.users, "showings": counts.showings, "behaviours": behaviours}
