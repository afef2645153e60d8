from __future__ import annotations

import pytest

from app.domain import BehaviourKind
from app.recommend.request import Language, Reason, ReasonKind
from app.recommend.wording import language_of, reason_text

LIKED = Reason(ReasonKind.OWN, "p9", BehaviourKind.LIKE, 0.8)


@pytest.mark.parametrize(
    ("kind", "english", "chinese"),
    [
        (ReasonKind.OWN, "Because you liked “牛角面包”", "因为你喜欢《牛角面包》"),
        (ReasonKind.SESSION, "Because you just liked “牛角面包”", "因为你刚刚喜欢《牛角面包》"),
        (
            ReasonKind.SIMILAR_USER,
            "Because people with your taste liked “牛角面包”",
            "因为与你口味相近的人喜欢《牛角面包》",
        ),
        (ReasonKind.SIMILAR_ATTRIBUTES, "Because people like you liked “牛角面包”", "因为与你相似的人喜欢《牛角面包》"),
    ],
)
def test_a_reason_names_the_title_whose_it_was_and_what_was_done(kind, english, chinese):
    reason = Reason(kind, "p9", BehaviourKind.LIKE, 0.8)

    texts = [reason_text(reason, post_id="p1", title="牛角面包", language=one) for one in Language]

    assert texts == [english, chinese]


@pytest.mark.parametrize("kind", [ReasonKind.POPULAR, ReasonKind.FRESH, ReasonKind.PINNED])
def test_posts_without_a_reference_say_what_they_are(kind):
    texts = {reason_text(Reason(kind), post_id="p1", title=None, language=one) for one in Language}

    assert len(texts) == 2
    assert "" not in texts


def test_a_post_that_is_its_own_reference_is_not_named():
    reason = Reason(ReasonKind.SIMILAR_USER, "p1", BehaviourKind.SHARE, 1.0)

    text = reason_text(reason, post_id="p1", title="title", language=Language.ENGLISH)

    assert text == "Because people with your taste shared it"


def test_a_reference_that_is_gone_is_not_named_and_a_long_title_is_cut():
    unnamed = reason_text(LIKED, post_id="p1", title=None, language=Language.ENGLISH)
    cut = reason_text(LIKED, post_id="p1", title="长" * 200, language=Language.CHINESE)

    assert unnamed == "Because of a post that you liked"
    assert cut == f"因为你喜欢《{'长' * 39}…》"


@pytest.mark.parametrize("behaviour", BehaviourKind)
@pytest.mark.parametrize("language", Language)
def test_every_behaviour_has_words_of_its_own(behaviour, language):
    others = [one for one in BehaviourKind if one is not behaviour]

    def text(kind: BehaviourKind) -> str:
        return reason_text(Reason(ReasonKind.OWN, "p9", kind), post_id="p1", title="t", language=language)

    assert text(behaviour) not in [text(one) for one in others]


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, None, "en"),
        ("zh", "en-GB", "zh"),
        ("fr", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-US,en;q=0.9,zh;q=0.8", "en"),
    ],
)
def test_the_language_asked_for_comes_first_then_the_first_accepted(chosen, accepted, language):
    assert language_of(chosen, accepted) == language
