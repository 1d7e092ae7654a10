"""Work in a process of its own: what comes of it, however it ends."""

import asyncio
import os
import signal
import time

import pytest

from config.exceptions import SettingsError
from telephony.console.aside import WAITING, Aside, AsideError
from telephony.server.errands import Errands


def double(value: int) -> int:
    return 2 * value


def nice() -> int:
    return os.nice(0)


def refuse() -> None:
    raise SettingsError("the setting is wrong")


def fail() -> None:
    raise ValueError("a bug")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(3600)


@pytest.mark.slow
async def test_what_comes_of_it_comes_back_and_it_gives_way_to_calls() -> None:
    aside = Aside(Errands())
    assert await aside.run(double, 21) == 42
    assert await aside.run(nice) >= 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "why"), [(refuse, "the setting is wrong"), (fail, "ValueError: a bug"), (die, "the process .* has ended")]
)
async def test_what_went_wrong_is_told(work: object, why: str) -> None:
    with pytest.raises(AsideError, match=why):
        await Aside(Errands()).run(work)  # type: ignore[arg-type]


@pytest.mark.slow
async def test_what_takes_too_long_is_killed() -> None:
    with pytest.raises(AsideError, match=r"longer than 0\.1 s"):
        await Aside(Errands(), limit_s=0.1).run(hang)


@pytest.mark.slow
async def test_one_at_a_time_and_few_wait() -> None:
    aside = Aside(Errands(), limit_s=0.1)
    tasks = [asyncio.create_task(aside.run(hang)) for _ in range(WAITING + 3)]
    answers = [str(answer) for answer in await asyncio.gather(*tasks, return_exceptions=True)]
    assert sum("too many others" in answer for answer in answers) == 2
    assert sum("longer than" in answer for answer in answers) == WAITING + 1
