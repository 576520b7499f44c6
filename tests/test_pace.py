"""How far long work is, in words: seldom, true from the first line on, and for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mammo_monai.pace import Pace
from mammo_monai.words import duration_text

logger = logging.getLogger("mammo_monai.tested_pace")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What was logged, when asked."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener = Listener()
    logger.addHandler(listener)
    with caplog.at_level(logging.INFO, logger=logger.name):
        yield said
    logger.removeHandler(listener)


class Clock:
    """Stands until it is put on."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_every_ten_seconds_with_the_time_the_rest_takes_at_this_pace(lines: list[str]) -> None:
    clock = Clock()
    pace = Pace(logger, "prepared", clock=clock)
    for done in range(1, 8):
        clock.seconds += 4
        pace(done, 7)
    assert lines == ["prepared 3 of 7 images, 16 s left", "prepared 6 of 7 images, 4 s left"]


def test_what_was_done_before_makes_nothing_look_fast(lines: list[str]) -> None:
    clock = Clock()
    pace = Pace(logger, noun="film", before=90, clock=clock)
    pace(90, 100)
    clock.seconds += 60  # the first of this run brings up the workers
    pace(91, 100)
    assert lines == ["91 of 100 films, 9 min left"]


def test_the_clock_starts_when_those_of_before_are_through(lines: list[str]) -> None:
    clock = Clock()
    pace = Pace(logger, before=1, clock=clock)
    clock.seconds += 300
    pace(1, 5)
    clock.seconds += 20
    pace(3, 5)
    assert lines == ["3 of 5 images, 20 s left"]


def test_the_end_is_told_where_asked_and_the_works_own_reckoning_holds(lines: list[str]) -> None:
    clock = Clock()
    silent, telling = Pace(logger, clock=clock), Pace(logger, tells_end=True, clock=clock)
    silent(2, 2)
    telling(1, 2)
    telling(2, 2, 0.0)
    clock.seconds += 11
    silent(1, 2, 7000.0)
    assert lines == ["2 of 2 images, 0 s left", "1 of 2 images, 117 min left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (119.4, "119 s"), (120.0, "2 min"), (7170.0, "2 h 0 min"), (40_000.0, "11 h 7 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
