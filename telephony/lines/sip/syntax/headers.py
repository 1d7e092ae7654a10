"""The headers of a message, in order. header.py has the syntax of their values."""

import re
from collections.abc import Iterable, Iterator

from telephony.lines.sip.syntax.header import TCHAR, split_list

# RFC 3261, 3265, 3515, 3841, 3892, 4028, 4474, 4488
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
_SHORT = {name: letter for letter, name in _COMPACT.items()}
# Whose values are comma-separated lists. Not WWW-Authenticate and its kin: commas mean something else there.
_LISTS = set(
    "accept accept-encoding accept-language alert-info allow allow-events call-info contact content-encoding "
    "content-language diversion error-info history-info in-reply-to p-asserted-identity p-preferred-identity path "
    "proxy-require reason record-route require route service-route supported unsupported via warning".split()
)
_NAME = re.compile(rf"{TCHAR}++")
_REFUSED = re.compile(r"[\r\n]|(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a quoted pair may hold a control character


class Headers:  # noqa: PLW1641 (it changes, so it has no hash)
    """An ordered multi-map. Names are case-insensitive and compact forms are known: `v` is `Via`.

    Values hold no CR or LF: ValueError. White space around them is taken off.
    """

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str, str]] = []  # name in lower case, name, value
        for name, value in items:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append; ValueError for a bad name or value."""
        name = _full_name(name)
        if not _NAME.fullmatch(name):
            raise ValueError("a header name that is no token")
        if _REFUSED.search(value):
            raise ValueError(f"a line end or a control character in {name}")
        self._items.append((name.lower(), name, value.strip(" \t")))

    def set(self, name: str, value: str) -> None:
        """Replace all headers of that name by one, in the place of the first."""
        added = Headers([(name, value)])._items[0]
        key = added[0]
        place = next((i for i, item in enumerate(self._items) if item[0] == key), len(self._items))
        rest = [item for item in self._items[place:] if item[0] != key]
        self._items[place:] = [added, *rest]

    def get(self, name: str, default: str = "") -> str:
        """The first value; of a list (Via, Contact, ...) the first item."""
        key = _full_name(name).lower()
        for item, _, value in self._items:
            if item == key:
                if key not in _LISTS:
                    return value
                if items := split_list(value):
                    return items[0]
        return default

    def all(self, name: str) -> list[str]:
        """Every value in order; lists (Via, Route, Contact, Allow, Supported, ...) are split into their items."""
        key = _full_name(name).lower()
        values = [value for item, _, value in self._items if item == key]
        return [item for value in values for item in split_list(value)] if key in _LISTS else values

    def remove(self, name: str) -> None:
        """Remove all headers of that name, if any."""
        key = _full_name(name).lower()
        self._items = [item for item in self._items if item[0] != key]

    def __contains__(self, name: str) -> bool:
        key = _full_name(name).lower()
        return any(item == key for item, _, _ in self._items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Name and value of every header line."""
        return iter([(name, value) for _, name, value in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._items] == [(key, value) for key, _, value in other._items]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


def short_names(headers: Headers) -> Iterator[tuple[str, str]]:
    """Name and value of every header line, the names in their compact forms (RFC 3261, 7.3.3)."""
    return ((_SHORT.get(name, name), value) for name, value in headers)


def _full_name(name: str) -> str:
    return _COMPACT.get(name.lower(), name) if len(name) == 1 else name
