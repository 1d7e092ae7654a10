"""The trunks of one server: providers and PBXs that calls come in from and go out by."""

from ipaddress import ip_address, ip_network

from config.exceptions import SettingsError
from config.sip import SipSettings, TrunkSettings
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.dialogs.registration import Account
from telephony.lines.sip.network import locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, Uri, parse_uri


class Trunk:
    """One trunk, by its settings. Raises SettingsError if they are unusable."""

    def __init__(self, name: str, settings: TrunkSettings) -> None:
        self.name = name
        self.settings = settings
        try:
            self.server = parse_uri(settings.server)
            self.caller = NameAddr("", parse_uri(settings.caller or self._address(settings.user or "voxline")))
        except ValueError as error:
            raise SettingsError(f"sip.trunks.{name}: server or from: {error}") from None
        if not locator.is_ip(self.server.host) and not locator.available():
            raise SettingsError(f"sip.trunks.{name}.server: {locator.MISSING}")
        secret = settings.password.get_secret_value()
        self.credentials = Credentials(settings.user, secret) if settings.user else None
        self.registrars: frozenset[str] = frozenset()  # the addresses of the servers that we are registered with
        self._networks = [ip_network(network) for network in settings.trusted]

    def account(self, hops: list[Address]) -> Account:
        """The account to register, with these servers of the registrar; at least one."""
        return Account(
            registrar=str(Uri(self.server.scheme, "", self.server.host, self.server.port)),
            address=str(self.caller.uri),
            credentials=self.credentials,
            expires_s=self.settings.expires_s,
            proxy=hops[0],
            spares=tuple(hops[1:]),
        )

    def holds(self, ip: str) -> bool:
        """Whether an address belongs to this trunk."""
        return ip in self.registrars or any(ip_address(ip) in network for network in self._networks)

    def uri(self, number: str) -> str:
        """The URI of a number or name at this trunk."""
        return self._address(number, self.server.port)

    def _address(self, user: str, port: int | None = None) -> str:
        return str(Uri(self.server.scheme, user, self.server.host, port))


class Trunks(dict[str, Trunk]):
    """By name."""

    def __init__(self, settings: SipSettings) -> None:
        super().__init__((name, Trunk(name, trunk)) for name, trunk in settings.trunks.items())

    def of(self, ip: str) -> Trunk | None:
        """The trunk that an address belongs to: the first that claims it."""
        return next((trunk for trunk in self.values() if trunk.holds(ip)), None)

    @property
    def registrars(self) -> frozenset[str]:
        """The addresses of all servers that we are registered with."""
        return frozenset().union(*(trunk.registrars for trunk in self.values()))
