from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.traits import TRAITS_PER_USER, traits_of


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("F", "F"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1, "1 to 2"),
        (5, "4 to 8"),
        (4.0, "4 to 8"),
        (8, "8 to 16"),
        (0.3, "0.25 to 0.5"),
        (-5, "-4 to -8"),
    ],
)
def test_a_value_becomes_a_word(value, word):
    assert traits_of({"x": value}) == [("x", word)]


@pytest.mark.parametrize(("age", "band"), [(0, "0-4"), (24, "20-24"), (25, "25-29"), (24.9, "20-24")])
def test_ages_fall_into_bands_of_five_years(age, band):
    assert traits_of({"age": age}) == [("age", band)]


def test_a_list_makes_one_trait_for_each_element():
    assert traits_of({"likes": ["ramen", "hotpot", "ramen", 5]}) == [
        ("likes", "4 to 8"),
        ("likes", "hotpot"),
        ("likes", "ramen"),
    ]


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, "", "x" * 101, [], [[1]]])
def test_what_cannot_be_compared_makes_no_trait(value):
    assert traits_of({"x": value}) == []


def test_one_user_has_a_bounded_number_of_traits():
    assert len(traits_of({"x": [f"w{n}" for n in range(5000)]})) == TRAITS_PER_USER


@given(st.floats(-1e18, 1e18), st.floats(-1e18, 1e18))
def test_numbers_of_one_band_are_less_than_twofold_apart(one: float, other: float):
    if traits_of({"x": one}) == traits_of({"x": other}):
        assert one == other or abs(one) < 2 * abs(other)
        assert one * other >= 0
