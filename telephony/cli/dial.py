"""`voxline dial`: asks the running server to call somebody, and tells how that goes on."""

import sys
import time
from pathlib import Path

import httpx
import msgspec

from config.logging import printable
from telephony.lines.exceptions import LineError
from telephony.lines.outbound_call import TOKEN_FILE, CallRequest, Dialled

POLL_S = 0.2
END_S = 10.0  # within which a call that was given up is over
TIMEOUT_S = 10.0


class DialFailed(LineError):
    """The server cannot be reached, or does not want to."""


def dial(request: CallRequest, url: str, data: Path) -> int:
    """Call, tell on standard output how it goes, and wait for its end; Ctrl-C gives the call up. Gives the exit
    status: 0 for a call that was answered and has ended well, else 1."""
    try:
        headers = {"Authorization": f"Bearer {_token(data)}"}
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
            call = _ask(http, "POST", "/calls", msgspec.json.encode(request))
            print(f"calling {call.to} (call {call.id})", flush=True)
            try:
                call = _follow(http, call)
            except KeyboardInterrupt:
                _ask(http, "DELETE", f"/calls/{call.id}")
                call = _follow(http, call, END_S)
    except DialFailed as error:
        print(f"voxline: {error}", file=sys.stderr)
        return 1
    return 0 if call.state == "ended" and call.outcome != "failed" else 1


def _token(data: Path) -> str:
    path = data / TOKEN_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DialFailed(f"cannot read {path}, which a running server writes: {error.strerror}") from None


def _follow(http: httpx.Client, call: Dialled, most_s: float = float("inf")) -> Dialled:
    """Tell every new state until the last one."""
    begin, told = time.monotonic(), call.state
    while True:
        call = _ask(http, "GET", f"/calls/{call.id}")
        if call.state != told:
            told = call.state
            print(_line(call), flush=True)
        if call.over:
            return call
        if time.monotonic() - begin > most_s:
            raise DialFailed(f"the call has not ended in {most_s:g} s")
        time.sleep(POLL_S)


def _line(call: Dialled) -> str:
    status = str(call.status) if call.status else ""
    why = " ".join(part for part in (status, call.reason, f"({call.outcome})" if call.outcome else "") if part)
    return printable(f"{call.state}: {why}" if why else call.state)  # the reason is the other side's


def _ask(http: httpx.Client, method: str, path: str, body: bytes | None = None) -> Dialled:
    try:
        answer = http.request(method, path, content=body)
    except httpx.HTTPError as error:
        raise DialFailed(f"no answer from {http.base_url}: {error}") from None
    if answer.is_success:
        try:
            return msgspec.json.decode(answer.content, type=Dialled)
        except msgspec.DecodeError:
            raise DialFailed(f"{http.base_url} is no voxline server") from None
    try:
        why = msgspec.json.decode(answer.content, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        why = f"{http.base_url} is no voxline server"
    if answer.status_code == 401:
        why += "; is it the data folder of this server?"
    raise DialFailed(f"{why} ({answer.status_code})")
