"""What a person at a terminal is told."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from config.settings import load_settings
from telephony.cli.welcome import welcome
from telephony.console.console import LINK_FILE

TOKEN = {"twilio.auth_token": "s3cret", "server.public_url": "https://voice.example.com"}


def test_it_names_where_to_call_and_how_to_end() -> None:
    text = welcome(load_settings(overrides={"server.drain_s": 30}), ["http://127.0.0.1:8080"], {"UDP": 5060})
    assert "voxline call http://127.0.0.1:8080" in text
    assert "sip:front_desk@127.0.0.1:5060;transport=udp" in text
    assert "http://127.0.0.1:8080/readyz" in text
    assert "30 s more; once again: they end at once" in text
    assert "webhook" not in text  # nobody could sign for it
    assert "http://127.0.0.1:8080/browser/ in a browser" in text


def test_with_a_twilio_account_it_names_the_webhook_and_no_secret() -> None:
    text = welcome(load_settings(overrides=TOKEN), ["http://[::1]:8080"], {})
    assert "https://voice.example.com/twilio/voice" in text
    assert "s3cret" not in text
    assert "/browser/" not in text  # no page could call


def test_it_names_the_console_and_what_is_missing() -> None:
    link = "http://127.0.0.1:8080/console?token=x"
    text = welcome(load_settings(), ["http://127.0.0.1:8080"], {}, link)
    assert text.splitlines()[1] == f"  console   {link}"
    assert "missing   calls from phones: set twilio.auth_token, or sip.enabled" in text
    assert "tape.mode" in text
    kept = {"sip.enabled": True, "tape.mode": "full", "recording.mode": "all", "log.words": True}
    assert "missing" not in welcome(load_settings(overrides=kept), ["http://127.0.0.1:8080"], {}, link)


def test_elsewhere_it_says_what_the_console_needs() -> None:
    public = {**TOKEN, "server.host": "0.0.0.0"}
    assert "missing   the console: a proxy with TLS" in welcome(load_settings(overrides=public), ["http://x"], {})
    proxied = welcome(load_settings(overrides={**public, "console.tls_proxy": True}), ["http://x"], {})
    assert "console   https://voice.example.com/console" in proxied
    assert "phone     https://voice.example.com/browser/" in proxied
    assert "missing   who may sign in: console.users" in proxied
    off = welcome(load_settings(overrides={**public, "console.enabled": False}), ["http://x"], {})
    assert "console" not in off


def test_it_is_for_terminals_only(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    settings = [f"server.data={tmp_path}", "server.port=0", "engine.profile=simulated"]
    command = [sys.executable, "-m", "telephony.cli", "serve", *(part for each in settings for part in ("--set", each))]
    server = subprocess.Popen(command, stderr=theirs, cwd=Path(__file__).parents[3])
    os.close(theirs)
    shown = ""
    try:
        while "once again: they end at once" not in shown:
            shown += os.read(ours, 4096).decode()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        os.close(ours)
    assert "answers calls." in shown
    assert (tmp_path / LINK_FILE).read_text().strip() in shown
