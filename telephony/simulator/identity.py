"""Who the caller says to be, how that is proved, and what is offered."""

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Of each carrier's means, those that it knows are used."""

    number: str = "+15550001111"
    to: str = "+15550002222"  # Twilio: the number that was called
    auth_token: str | None = None  # Twilio: signs every request,
    public_url: str | None = None  # over this address where the server is known to Twilio by another
    user: str = ""  # SIP: the digest's
    password: str = ""
    codec: str = ""  # the only one that is offered; G.711 where nothing is said

    def __repr__(self) -> str:
        return f"Identity({self.number!r}, user={self.user!r})"
