"""What headers say about being kept."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from pilotage.cache.freshness import Header, Terms, conditions, terms_of, validators


def headers(**values: str) -> Header:
    named = {name.replace("_", "-").lower(): value for name, value in values.items()}
    return lambda name: named.get(name.lower(), "")


@pytest.mark.parametrize(
    "said", ["no-store", "private", "public, No-Store", 'private="Set-Cookie"', "max-age=60,private"]
)
def test_what_may_not_be_kept(said: str) -> None:
    assert not terms_of(headers(Cache_Control=said)).may_keep


def test_an_answer_that_varies_by_anything_is_not_kept() -> None:
    assert not terms_of(headers(Vary="*")).may_keep
    assert terms_of(headers(Vary="Accept-Encoding, User-Agent, Cookie")).may_keep


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, None),
        ({"Cache_Control": "public"}, None),
        ({"Cache_Control": "max-age=60"}, 60),
        ({"Cache_Control": 'max-age="60", must-revalidate'}, 60),
        ({"Cache_Control": "max-age=60", "Age": "45"}, 15),
        ({"Cache_Control": "max-age=60", "Age": "90"}, 0),
        ({"Cache_Control": "max-age=60", "Expires": "0"}, 60),
        ({"Cache_Control": "max-age=soon"}, 0),
        ({"Cache_Control": "max-age=-1"}, 0),
        ({"Cache_Control": "no-cache"}, 0),
        ({"Cache_Control": "max-age=60, no-cache"}, 0),
        ({"Pragma": "no-cache"}, 0),
        ({"Pragma": "no-cache", "Cache_Control": "max-age=60"}, 60),
        ({"Expires": "0"}, 0),
        ({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Expires": "Mon, 23 Nov 2026 10:10:00 GMT", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 600),
    ],
)
def test_how_long_an_answer_says_that_it_is_good(said: dict[str, str], seconds: float | None) -> None:
    assert terms_of(headers(**said)) == Terms(True, seconds)


def test_expires_without_a_date_counts_from_now() -> None:
    found = terms_of(headers(Expires=formatdate(time.time() + 100, usegmt=True))).seconds
    assert found is not None
    assert 95 < found <= 100


def test_the_strictest_on_the_way_counts() -> None:
    assert Terms() & Terms() == Terms()
    assert Terms() & Terms(True, 5) & Terms(True, 3) == Terms(True, 3)
    assert not (Terms() & Terms(False)).may_keep


def test_validators_become_conditions() -> None:
    found = validators(headers(ETag='W/"a"', Last_Modified="Mon, 23 Nov 2026 10:00:00 GMT"))
    assert conditions(found) == {
        "If-None-Match": 'W/"a"', "If-Modified-Since": "Mon, 23 Nov 2026 10:00:00 GMT",
    }  # fmt: skip
    assert validators(headers()) == {}
    assert validators(headers(ETag='"\x1f"')) == {}
