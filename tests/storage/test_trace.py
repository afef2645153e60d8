from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.storage.trace import EXPLORED_AT_MOST, PINNED_AT_MOST, Trace, tags_of

names = st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
ids = st.lists(st.text(min_size=1), max_size=EXPLORED_AT_MOST)
counts = st.integers(0, PINNED_AT_MOST)


@given(experiment=names, arm=names, share=st.integers(0, 1000), pool=st.integers(0, 9999), drawn=ids, pinned=counts)
def test_what_an_id_is_made_with_is_read_back_from_it(experiment, arm, share, pool, drawn, pinned):
    trace = Trace(experiment, arm, share / 10_000, pool, tags_of(drawn), pinned)

    made = trace.new_id()

    assert len(made) <= 120  # with a position behind it still an id
    assert Trace.of(made) == (None if trace == Trace() else trace)


@given(st.text())
def test_any_other_word_has_no_trace(word):
    assert Trace.of(word) is None
    assert Trace.of(None) is None


def test_two_ids_are_never_alike():
    assert Trace().new_id() != Trace().new_id()
    assert Trace("e", "a").new_id() != Trace("e", "a").new_id()


def test_a_drawn_post_has_the_share_of_its_pool_and_any_other_the_rest():
    trace = Trace(share=0.02, pool=50, tags=tags_of(["new"]))

    assert trace.propensity("new", 3) == trace.propensity("new", None) == 0.02 / 50
    assert trace.propensity("old", 3) == trace.propensity("old", None) == 0.98


def test_a_pinned_post_has_its_place_for_certain():
    trace = Trace(share=0.02, pool=50, tags=tags_of(["new"]), pinned=2)

    assert [trace.propensity(post, place) for place, post in enumerate(("first", "second", "third"))] == [1, 1, 0.98]


def test_numbers_that_a_stranger_writes_do_no_harm():
    for share in ("9.9", "...", "0.0.0", "."):
        trace = Trace.of(f"{'0' * 32}~e~a~{share}~0~abc")
        assert trace is not None
        assert 0 <= trace.propensity("p", 0) <= 1
