"""The rows of the table that are the product: as it is trained, plain, untrained, and with one thing destroyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.evaluation.controls import with_shuffled_labels, with_swapped_titles
from app.evaluation.log import Log
from app.evaluation.measure import Ranking
from app.evaluation.product import Served

Rankings = Callable[[Served], Mapping[str, Ranking]]  # row name -> its ranking


@dataclass(frozen=True)
class Entry:
    """One training, or none, and the rows that come of it."""

    name: str
    rankings: Rankings
    is_trained: bool = True
    is_control: bool = False  # run with the first seed only
    only_by_name: bool = False  # not run unless it is asked for
    plan: Mapping[str, Any] = field(default_factory=dict)  # other than the given plan
    sizes: Mapping[str, Any] = field(default_factory=dict)  # other than the given sizes
    change: Callable[[Log, int], Log] = lambda log, seed: log
    has_random_tokens: bool = False


def _whole(name: str) -> Rankings:
    return lambda served: {
        f"{name}: matching": served.reference_matching(),
        f"{name}: pooled vector": served.pooled_vector(),
        f"{name}: recommend path": served.recommend_path(),
    }


def _matching(name: str) -> Rankings:
    return lambda served: {name: served.reference_matching()}


def _without(name: str, *, plan: Mapping[str, Any] | None = None, sizes: Mapping[str, Any] | None = None) -> Entry:
    """The product with one of its choices made otherwise."""
    name = f"ablation: {name}"

    def rankings(served: Served) -> Mapping[str, Ranking]:
        return {f"{name}: matching": served.reference_matching(), f"{name}: recommend path": served.recommend_path()}

    return Entry(name, rankings, is_control=True, only_by_name=True, plan=plan or {}, sizes=sizes or {})


ENTRIES = (
    Entry("tuwen", _whole("tuwen")),
    Entry("start", _matching("start"), is_trained=False),
    Entry("plain patent", _matching("plain patent"), plan={"serving_weight": 0.0}),
    Entry(
        "control: shuffled labels",
        _matching("control: shuffled labels"),
        is_control=True,
        change=lambda log, seed: with_shuffled_labels(log, seed=seed),
    ),
    Entry(
        "control: random features",
        _matching("control: random features"),
        is_control=True,
        has_random_tokens=True,
    ),
    Entry("control: picture only", _matching("control: picture only"), is_control=True, sizes={"modality": "picture"}),
    Entry("control: title only", _matching("control: title only"), is_control=True, sizes={"modality": "title"}),
    Entry(
        "control: swapped titles",
        _matching("control: swapped titles"),
        is_control=True,
        change=lambda log, seed: with_swapped_titles(log, seed=seed),
    ),
    _without("fusion by addition", sizes={"fusion": "add"}),
    _without("fusion by multiplication", sizes={"fusion": "multiply"}),
    _without("prediction by pooled dot", sizes={"prediction": "pooled_dot"}),
    _without("prediction by concatenation", sizes={"prediction": "concat"}),
    _without("two layers of the joint transformer", sizes={"layers": 2}),
    _without("no order in the history", sizes={"history_order": 1}),
    _without("one epoch", plan={"epochs": 1}),
)
