from __future__ import annotations

import pytest

from app.domain import BehaviourKind
from app.pages.cards import reason_words
from app.pages.words import words_of
from app.recommend.request import Reason, ReasonKind
from app.recommend.wording import language_of


def test_a_reason_names_the_act_and_the_post() -> None:
    reason = Reason(ReasonKind.OWN, "p1", BehaviourKind.LIKE, 0.8)

    assert reason_words(reason, "牛角面包", words_of("en")) == "because you liked «牛角面包»"
    assert reason_words(reason, "牛角面包", words_of("zh")) == "因为你喜欢了「牛角面包」"


def test_a_post_that_others_liked_itself_is_not_explained_by_its_own_title() -> None:
    reason = Reason(ReasonKind.SIMILAR_USER, "p1", BehaviourKind.FAVOURITE, 1.0)

    assert reason_words(reason, None, words_of("en")) == "people who like what you like saved it"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", list(ReasonKind))
def test_every_kind_of_reason_has_words_for_every_behaviour(language: str, kind: ReasonKind) -> None:
    for behaviour in BehaviourKind:
        for title in ("t", None):
            words = reason_words(Reason(kind, "p1", behaviour, 0.5), title, words_of(language))
            assert words
            assert "{" not in words


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [("zh", "en-GB", "zh"), (None, "zh-CN,zh;q=0.9", "zh"), (None, "de-DE", "en"), ("xx", None, "en")],
)
def test_the_chosen_language_goes_before_the_browsers(chosen: str | None, accepted: str | None, language: str) -> None:
    assert language_of(chosen, accepted) == language
