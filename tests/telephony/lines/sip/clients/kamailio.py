"""Kamailio, a third-party SIP proxy and registrar."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.debian import needs
from tests.telephony.lines.sip.clients.local import HOST, free_port, stop

START_S = 15
USER, PASSWORD = "agent", "pw123"
CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "max_expires", {expires_s})
modparam("auth", "nonce_expire", {nonce_s})
{relay}
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ xlog("L_NOTICE", "by route: $rm\\n"); {media} t_relay(); }}
    else if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); }}
    else sl_send_reply("404", "Not Here");
    exit;
  }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{host}", "{password}", "0")) {{ www_challenge("{host}", "1"); exit; }}
    xlog("L_NOTICE", "registers: $au for $hdr(Expires)\\n");
    save("location");
    exit;
  }}
  record_route();
  {media}
  if (!lookup("location")) {{
    if ($rU == "{user}") {{ sl_send_reply("404", "Not Found"); exit; }}
    $du = "sip:{host}:{behind};transport=$proto";
  }}
  t_relay();
}}
"""

# Audio goes through rtpengine, which puts its own ports into offers and answers.
RELAY = """
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:{host}:{ng}")
onreply_route[MEDIA] {{ if (has_body("application/sdp")) rtpengine_manage("replace-origin ICE=remove"); }}
"""
MEDIA = """
    if (is_method("INVITE|ACK|UPDATE") && has_body("application/sdp")) rtpengine_manage("replace-origin ICE=remove");
    if (is_method("BYE")) rtpengine_delete();
    t_on_reply("MEDIA");
"""

_modules = next(Path("/usr/lib").glob("**/kamailio/modules"), Path("/"))

needs_kamailio = needs("kamailio")


class Kamailio:
    """A running proxy."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def log(self, text: str) -> list[str]:
        """The lines of its log that contain a text."""
        return [line for line in self._log.read_text(errors="replace").splitlines() if text in line]


@asynccontextmanager
async def running(
    folder: Path, behind: int = 0, nonce_s: int = 300, expires_s: int = 60, ng: int = 0
) -> AsyncIterator[Kamailio]:
    """A proxy that stays in the way (Record-Route). Calls to a registered name (`USER` with `PASSWORD`) go there,
    others to the port `behind`. Its registrar accepts a nonce for `nonce_s`, and keeps bindings for `expires_s`.
    With `ng`, the control port of an rtpengine, audio goes through that."""
    proxy = Kamailio(free_port(), folder / "log.txt")
    _configure(folder, port=proxy.port, behind=behind, nonce_s=nonce_s, expires_s=expires_s, ng=ng)
    with (folder / "log.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4"),
            *("-Y", str(folder), "-w", str(folder)),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    try:
        await _listening(proxy)
        yield proxy
    finally:
        await stop(process)


def _configure(folder: Path, **values: int) -> None:
    folder.mkdir()
    relay, media = (RELAY.format(host=HOST, ng=values["ng"]), MEDIA) if values["ng"] else ("", "")
    own = {"modules": _modules, "host": HOST, "user": USER, "password": PASSWORD, "relay": relay, "media": media}
    config = CONFIG.format(**own, **values)
    (folder / "kamailio.cfg").write_text(config)


async def _listening(proxy: Kamailio) -> None:
    """TCP is opened last."""
    try:
        async with asyncio.timeout(START_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(HOST, proxy.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise AssertionError("Kamailio does not listen:\n" + "\n".join(proxy.log(""))) from None
