"""The settings of the SIP line and its trunks."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from config.group import Group, Seconds

_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_SERVER = rf"^sips?:{_HOST}(?::[0-9]{{1,5}})?(?:;transport=(?:udp|tcp|tls))?$"


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """The same value. Raises ValueError for anything but networks and addresses."""
    for network in value:
        ip_network(network)
    return value


class TrunkSettings(Group):
    """A provider or PBX for outbound and inbound calls."""

    server: str = Field(pattern=_SERVER)
    user: str = Field(default="", pattern=r"^[^\s@<>\"]*$")
    password: SecretStr = SecretStr("")
    registers: bool = Field(default=False, alias="register")  # `register` is reserved by pydantic
    expires_s: int = Field(default=3600, ge=10, le=86_400)
    caller: str = Field(default="", alias="from", pattern=r"^(sips?:[^\s@<>\"]+@[^\s@<>\"]+)?$")
    agent: str = ""
    trusted: tuple[str, ...] = ()

    @field_validator("trusted")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.registers and not (self.user or self.caller):
            raise ValueError("register needs user or from: who is to be registered")
        if self.password.get_secret_value() and not self.user:
            raise ValueError("password without user")
        return self


class SipSettings(Group):
    """The SIP line: phones, PBXs and trunks that call over SIP and RTP."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = Field(default=5060, ge=0, le=65535)
    transports: tuple[Literal["udp", "tcp", "tls"], ...] = ("udp", "tcp")
    tls_port: int = Field(default=5061, ge=0, le=65535)
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    advertised: str = ""
    trusted: tuple[str, ...] = ()
    users: dict[str, SecretStr] = Field(default_factory=dict)
    trunks: dict[Annotated[str, Field(pattern=r"^[\w.-]+$")], TrunkSettings] = Field(default_factory=dict)
    realm: str = Field(default="voxline", pattern=r'^[^\s"\\]+$')
    digest: Annotated[tuple[Literal["MD5", "SHA-256"], ...], Field(min_length=1)] = ("MD5",)
    codecs: Annotated[tuple[Literal["opus", "G722", "PCMU", "PCMA"], ...], Field(min_length=1)] = (
        "PCMU",
        "PCMA",
        "G722",
    )
    srtp: Literal["off", "allowed", "required"] = "allowed"
    nat: bool = False
    rtp_first_port: int = Field(default=20_000, ge=1024, le=65_534)
    rtp_last_port: int = Field(default=29_999, ge=1025, le=65_535)
    media_timeout_s: Annotated[Seconds, Field(gt=0)] = 20
    transfer: Literal["blind", "attended"] = "blind"
    ring_timeout_s: Annotated[Seconds, Field(gt=0, le=180)] = 45
    connections: int = Field(default=200, ge=1, le=10_000)
    ban_failures: int = Field(default=10, ge=2, le=1000)
    ban_s: Seconds = 600

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that may call without a password: `trusted`, and the trunks'."""
        return self.trusted + tuple(network for trunk in self.trunks.values() for network in trunk.trusted)

    @field_validator("host", "advertised")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            ip_address(value)
        return value

    @field_validator("trusted")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @field_validator("codecs")
    @classmethod
    def _are_named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a codec is named twice")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rtp_last_port - self.rtp_first_port < 3:
            raise ValueError("rtp_last_port must be at least 3 above rtp_first_port: a call takes two ports")
        if not self.transports:
            raise ValueError("transports must name one of udp, tcp, tls")
        if "tls" in self.transports and not self.tls_cert:
            raise ValueError("tls_cert and tls_key must be set for the transport tls")
        if self.advertised and ip_address(self.advertised).version != ip_address(self.host).version:
            raise ValueError("advertised and host must both be IPv4 or both IPv6: the server speaks one of them")
        return self
