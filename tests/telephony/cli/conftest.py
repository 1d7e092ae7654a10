"""A server that the commands call."""

from pathlib import Path
from typing import Any

import pytest

from tests.simulated import SIP, quick

SCRIPT = "steps: [wait, {dtmf: '12'}, {silence: 500}, hang_up]\n"


@pytest.fixture
def desk(serve: Any) -> str:
    """The SIP address of a server that asks for ann's password, s3cret."""
    server = serve(quick() | SIP | {"sip.users": {"ann": "s3cret"}})
    return f"sip:front_desk@127.0.0.1:{server.wait_for('listening', logger='voxline.sip')['ports']['UDP']}"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The file of a short script."""
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return path
