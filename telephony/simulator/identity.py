"""Who callers claim to be, how they prove it, and which codec they offer."""

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Each carrier uses the fields that it knows."""

    number: str = "+15550001111"
    to: str = "+15550002222"  # Twilio: the number that was called
    auth_token: str | None = None  # Twilio: signs every request,
    public_url: str | None = None  # for this address, if Twilio knows the server by another
    user: str = ""  # SIP: the digest's
    password: str = ""
    codec: str = ""  # the only one offered; G.711 if empty
    control_token: str = ""  # browser: the server's, where it gives tokens for calls only to those that have it

    def __repr__(self) -> str:
        return f"Identity({self.number!r}, user={self.user!r})"
