"""Signing in: by link and by password; guesses, in virtual time."""

import asyncio
import threading

import pytest

from config.password_hash import PasswordHash
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.sign_in import WAITING, Refused, SignedIn, SignIn
from telephony.server.sign_in.throttle import FREE
from tests.telephony.server.sign_in.users import PASSWORD, USERS, console_settings


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_in(clock: Clock) -> SignIn:
    return SignIn(console_settings(), clock=clock)


async def test_the_link_signs_in_as_often_as_it_is_opened(sign_in: SignIn, clock: Clock) -> None:
    keys = set()
    for _ in range(2):
        signed_in = sign_in.by_link(sign_in.link_token)
        assert signed_in is not None
        person = sign_in.sessions.person(signed_in.key, clock())
        assert person is not None
        assert person.role is Role.ADMIN
        keys.add(signed_in.key)
    assert len(keys) == 2
    assert len(sign_in.link_token) > 40


@pytest.mark.parametrize("token", ["", "x", "\ud800", "é"])
async def test_no_other_link_does(sign_in: SignIn, token: str) -> None:
    assert sign_in.by_link(token) is None
    assert sign_in.by_link(sign_in.link_token + token + "x") is None


@pytest.mark.parametrize(("name", "role"), [("vera", Role.VIEWER), ("otto", Role.OPERATOR), ("ada", Role.ADMIN)])
async def test_a_user_has_their_role(sign_in: SignIn, clock: Clock, name: str, role: Role) -> None:
    signed_in = await sign_in.by_password(name, PASSWORD, "192.0.2.1")
    assert isinstance(signed_in, SignedIn)
    person = sign_in.sessions.person(signed_in.key, clock())
    assert person is not None
    assert (person.name, person.role) == (name, role)


@pytest.mark.parametrize(
    ("name", "password"), [("vera", "wrong"), ("vera", ""), ("nobody", PASSWORD), ("", PASSWORD), ("\ud800", "\ud800")]
)
async def test_everything_else_is_refused_in_the_same_words(sign_in: SignIn, name: str, password: str) -> None:
    assert await sign_in.by_password(name, password, "192.0.2.1") == Refused("Name or password is wrong.")
    assert len(sign_in.sessions) == 0


async def test_guesses_are_slowed_by_address_whatever_the_name(sign_in: SignIn, clock: Clock) -> None:
    for number in range(FREE):
        assert await sign_in.by_password(f"name{number}", "x", "192.0.2.1") == Refused("Name or password is wrong.")
    refused = await sign_in.by_password("vera", PASSWORD, "192.0.2.1")
    assert isinstance(refused, Refused)
    assert refused.wait_s == 1.0
    clock.now_s += 1.0
    assert isinstance(await sign_in.by_password("vera", PASSWORD, "192.0.2.1"), SignedIn)


async def test_an_ipv6_network_counts_as_one_address(sign_in: SignIn) -> None:
    for number in range(FREE):
        await sign_in.by_password(f"name{number}", "x", f"2001:db8::{number + 1}")
    assert getattr(await sign_in.by_password("vera", PASSWORD, "2001:db8::ffff"), "wait_s", 0) > 0
    assert isinstance(await sign_in.by_password("vera", PASSWORD, "2001:db8:0:1::1"), SignedIn)


async def test_guesses_are_slowed_by_user_wherever_they_come_from(sign_in: SignIn, clock: Clock) -> None:
    tried = 0
    for number in range(2000):
        answer = await sign_in.by_password("vera", "x", f"10.0.{number // 250}.{number % 250}")
        tried += answer == Refused("Name or password is wrong.")
        clock.now_s += 0.1
    assert tried <= FREE + 6 + 200 / 30 + 1


async def test_a_browser_that_is_known_is_not_locked_out_by_strangers(sign_in: SignIn, clock: Clock) -> None:
    first = await sign_in.by_password("vera", PASSWORD, "192.0.2.1")
    assert isinstance(first, SignedIn)
    for number in range(100):
        await sign_in.by_password("vera", "x", f"10.0.0.{number}")
    assert getattr(await sign_in.by_password("vera", PASSWORD, "192.0.2.2"), "wait_s", 0) > 0
    again = await sign_in.by_password("vera", PASSWORD, "192.0.2.3", first.device)
    assert isinstance(again, SignedIn)
    for _ in range(FREE):  # it has a count of its own
        await sign_in.by_password("vera", "x", "192.0.2.4", first.device)
        clock.now_s += 1
    clock.now_s += 10
    restarted = SignIn(console_settings(), clock=clock)
    for number in range(100):
        await restarted.by_password("vera", "x", f"10.0.1.{number}")
    assert isinstance(await restarted.by_password("vera", PASSWORD, "192.0.2.5", first.device), SignedIn)


@pytest.mark.parametrize("device", ["x", ".", "a.b", "\ud800.\ud800"])
async def test_a_proof_cannot_be_made_up_or_be_another_users(sign_in: SignIn, device: str) -> None:
    other = await sign_in.by_password("otto", PASSWORD, "192.0.2.9")
    assert isinstance(other, SignedIn)
    for proof in (device, other.device):
        for number in range(20):
            await sign_in.by_password("vera", "x", f"10.1.0.{number}", proof)
    assert getattr(await sign_in.by_password("vera", PASSWORD, "192.0.2.1"), "wait_s", 0) > 0


async def test_a_stranger_locks_nobody_out_for_ever(sign_in: SignIn, clock: Clock) -> None:
    for number in range(1000):
        await sign_in.by_password("vera", "x", f"10.0.{number // 250}.{number % 250}")
    clock.now_s += 31
    assert isinstance(await sign_in.by_password("vera", PASSWORD, "192.0.2.1"), SignedIn)


class Slow(PasswordHash, frozen=True):
    """A hash whose check waits for the test."""

    def fits(self, password: str) -> bool:
        running.append(password)
        assert gate.wait(20)
        return False


running: list[str] = []
gate = threading.Event()


async def test_few_are_checked_at_once_and_few_wait() -> None:
    running.clear()
    gate.clear()
    sign_in = SignIn(console_settings())
    salted = PasswordHash.parse(USERS["vera"]["password"])
    sign_in._nobody = Slow(2, 1, 1, salted.salt, salted.hash)
    tasks = [
        asyncio.create_task(sign_in.by_password(f"name{number}", "x", f"10.0.0.{number}"))
        for number in range(WAITING + 4)
    ]
    await asyncio.sleep(0)
    done = [task for task in tasks if task.done()]
    gate.set()
    answers = await asyncio.gather(*tasks)
    assert len(done) == 4
    assert [answer for answer in answers if isinstance(answer, Refused) and answer.wait_s] == [
        Refused("Too many people are signing in at the moment.", 1.0)
    ] * 4
    assert len(running) == WAITING
