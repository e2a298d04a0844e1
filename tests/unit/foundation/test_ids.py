"""Time-ordered ids."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.ids import IdMaker, lowest_at, parse_uuid
from tests.support.factories import START, ManualClock


def test_an_id_is_a_uuid_of_version_7_that_begins_with_its_millisecond():
    moment = datetime(2030, 1, 1, 12, 0, 0, 123_456, UTC)
    (made,) = IdMaker(ManualClock(moment)).new()

    assert made.int >> 80 == milliseconds(moment)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 64 & 0xFFF == 456 * 4096 // 1000


def test_ids_of_one_moment_increase_within_a_call_and_between_calls():
    maker = IdMaker(ManualClock())

    made = maker.new(5000) + maker.new() + maker.new(3)

    assert made == sorted(set(made)) and len(made) == 5004


def test_text_order_is_the_same_order():
    made = IdMaker(ManualClock()).new(5000)

    assert [str(id_) for id_ in made] == sorted(str(id_) for id_ in made)


def test_ids_do_not_go_back_with_the_clock():
    clock = ManualClock()
    maker = IdMaker(clock)
    earlier = maker.new()

    clock.advance(-60)

    assert maker.new() > earlier


def test_threads_never_get_the_same_id():
    maker = IdMaker(ManualClock())

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: maker.new(50), range(40)))

    ids = [id_ for batch in batches for id_ in batch]
    assert len({id_.int >> 64 for id_ in ids}) == 2000
    assert all(batch == sorted(batch) for batch in batches)


def test_no_ids_are_none_and_use_up_nothing():
    maker = IdMaker(ManualClock(START))

    assert maker.new(0) == []
    assert maker.new()[0].int >> 64 & 0xFFF == 0


@pytest.mark.parametrize("text", ["", "x", None, 7, "0190c2a0-0000-7000-8000-00000000000g"])
def test_what_spells_no_uuid_is_none(text):
    assert parse_uuid(text) is None


def test_a_uuid_is_read_in_its_usual_spellings():
    id_ = uuid.UUID("0190c2a0-0000-7000-8000-000000000001")

    assert {parse_uuid(id_), parse_uuid(str(id_)), parse_uuid(id_.hex), parse_uuid(str(id_).upper())} == {id_}


def test_the_lowest_id_of_a_moment_parts_earlier_ids_from_later_ones():
    clock = ManualClock()
    (before,) = IdMaker(clock).new()
    clock.advance(0.001)
    (after,) = IdMaker(clock).new()

    assert before < lowest_at(milliseconds(clock.now())) <= after
    assert lowest_at(milliseconds(clock.now())).version == 7


@pytest.mark.parametrize(("moment", "bound"), [(-(10**15), 0), (10**15, 2**48 - 1)])
def test_moments_beyond_what_an_id_can_say_have_the_nearest_one(moment: int, bound: int):
    assert lowest_at(moment) == lowest_at(bound)
