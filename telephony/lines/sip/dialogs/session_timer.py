"""Session timers (RFC 4028): how both sides of a call notice that the other is gone."""

from collections.abc import Callable, Iterable

from telephony.lines.sip.dialogs.core import SUPPORTED, UserAgentConfig
from telephony.lines.sip.syntax.header import parse_number, parse_params
from telephony.lines.sip.syntax.message import Headers, Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.timers import Timer, Timers

LEAST_S = 90  # the least that the RFC allows
MOST_S = 7 * 86_400
Header = tuple[str, str]


class SessionTimer:
    """The timer of one call: `refresh(now_ms)` is called half-way if we are the refresher, `expired(now_ms)` shortly
    before the session expires."""

    def __init__(
        self,
        config: UserAgentConfig,
        timers: Timers,
        refresh: Callable[[float], None],
        expired: Callable[[float], None],
    ) -> None:
        self.running = False
        self.ours = False  # whether we are the refresher
        self._interval_s = config.session_s
        self._least_s = config.min_session_s
        self._raised = False
        self._timers = timers
        self._refresh = refresh
        self._expired = expired
        self._set: list[Timer] = []

    def offered(self) -> list[Header]:
        """The headers of our INVITE or UPDATE."""
        role = f";refresher={'uac' if self.ours else 'uas'}" if self.running else ""
        headers = [SUPPORTED, ("Session-Expires", f"{self._interval_s}{role}")]
        return headers if self._least_s <= LEAST_S else [*headers, ("Min-SE", str(self._least_s))]

    def accept(self, request: Request, now_ms: float) -> list[Header]:
        """The headers of our 2xx to an INVITE or UPDATE; the interval starts now."""
        asked, knows = _session_expires(request.headers), _knows_timer(request)
        if asked is None and not knows:
            self.stop()
            return []
        least = max(LEAST_S, min(_seconds(request.headers.get("Min-SE")) or 0, MOST_S))
        wanted, refresher = asked or (self._interval_s, "uas")
        if not knows:
            refresher = "uas"
        refresher = refresher or "uac"
        self._interval_s = max(min(wanted, self._interval_s), least)
        self._start(refresher == "uas", now_ms)
        expires = ("Session-Expires", f"{self._interval_s};refresher={refresher}")
        return [expires, ("Require", "timer")] if knows and refresher == "uac" else [expires]

    def accepted(self, response: Response, now_ms: float) -> None:
        """The peer's 2xx to our INVITE or UPDATE."""
        self._raised = False
        granted = _session_expires(response.headers)
        if granted is None:
            self.stop()
            return
        self._interval_s = max(LEAST_S, granted[0])
        self._start(granted[1] != "uas", now_ms)

    def raised(self, response: Response) -> bool:
        """Whether a retry is worthwhile after a 422."""
        least = _seconds(response.headers.get("Min-SE")) or 0
        if self._raised or not self._interval_s < least <= MOST_S:
            return False
        self._raised = True
        self._interval_s = self._least_s = least
        return True

    def stop(self) -> None:
        """The call is over, or has no session timer."""
        self.running = False
        for timer in self._set:
            timer.stop()
        self._set = []

    def _start(self, ours: bool, now_ms: float) -> None:
        self.stop()
        self.running, self.ours = True, ours
        interval_ms = 1000.0 * self._interval_s
        last_ms = now_ms + interval_ms - min(32_000.0, interval_ms / 3)
        self._set = [self._timers.start(last_ms, self._expired)]
        if ours:
            self._set.append(self._timers.start(now_ms + interval_ms / 2, self._refresh))


def too_small(request: Request, least_s: int) -> Refusal | None:
    """422 for a peer that asks for less than `least_s` and understands session timers."""
    asked = _session_expires(request.headers)
    if asked is None or asked[0] >= least_s or not _knows_timer(request):
        return None
    return Refusal(422, "session interval is too small", (("Min-SE", str(least_s)),))


def tokens(values: Iterable[str]) -> set[str]:
    """Option tags and the like, in lower case."""
    return {value.lower() for value in values}


def _knows_timer(request: Request) -> bool:
    return "timer" in tokens(request.headers.all("Supported"))


def _seconds(value: str) -> int | None:
    try:
        return parse_number(value.partition(";")[0], 2**32)
    except ValueError:
        return None


def _session_expires(headers: Headers) -> tuple[int, str] | None:
    """Seconds and the refresher, if given; None without a readable Session-Expires."""
    number, semicolon, params = headers.get("Session-Expires").partition(";")
    seconds = _seconds(number)
    if seconds is None:
        return None
    try:
        refresher = parse_params(semicolon + params).get("refresher", "").lower()
    except ValueError:
        refresher = ""
    return min(seconds, MOST_S), refresher if refresher in ("uac", "uas") else ""
