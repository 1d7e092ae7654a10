"""Who the caller claims to be."""

from telephony.simulator.identity import Identity


def test_secrets_are_not_shown() -> None:
    identity = Identity(auth_token="t0ken", user="ann", password="s3cret")
    assert "ann" in repr(identity)
    assert not {"t0ken", "s3cret"} & set(str(identity).replace("'", " ").split())
