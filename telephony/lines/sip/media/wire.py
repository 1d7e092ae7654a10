"""One call's audio on the network: its media session, and the two sockets that carry it."""

import asyncio
import socket
from collections.abc import Callable

from telephony.lines.rtp.media import Media, NextFrame
from telephony.lines.rtp.parameters import Parameters, SocketAddress
from telephony.lines.sip.media import socket_filter, sockets
from telephony.lines.sip.media.sockets import MediaSockets


class Wire:
    """`next_frame` supplies the audio to send; `pressed` gets the keys."""

    def __init__(
        self, sockets: MediaSockets, next_frame: NextFrame, pressed: Callable[[str], None], *, nat: bool
    ) -> None:
        self.media: Media | None = None  # from the first agreement on
        self._sockets = sockets
        self._next_frame = next_frame
        self._pressed = pressed
        self._nat = nat
        self._sources: tuple[SocketAddress, ...] = ()  # the only ones whose RTP the kernel lets through
        self._loop = asyncio.get_running_loop()

    def agree(self, parameters: Parameters) -> Media:
        """Apply what was agreed with the peer."""
        if self.media is None:
            while list(sockets.receive(self._sockets.audio)):
                pass  # early media, such as ringing tones, is not heard
            self.media = Media(parameters, self._next_frame, self._now_ms(), nat=self._nat)
        else:
            self.media.update(parameters, self._now_ms())
            self._filter(self.media)
        return self.media

    def close(self) -> None:
        """Send the last report and close the sockets; once."""
        if self._sockets.audio.fileno() < 0:
            return
        if self.media is not None:
            sockets.send(self._control_socket, self.media.goodbye(self._now_ms()), self.media.remote_control)
        self._sockets.close()

    def send(self, now_ms: float) -> None:
        """Send the next 20 ms, if anything is agreed on."""
        if self.media is not None:
            sockets.send(self._sockets.audio, self.media.tick(now_ms), self.media.remote)

    def hear(self, now_ms: float) -> bytes | None:
        """Read the packets received, and return the caller's next 20 ms of PCM16 at the line's rate; None before the
        first agreement."""
        media = self.media
        if media is None:
            return None
        for data, source, age_ms in sockets.receive(self._sockets.audio):
            key = media.receive(data, source, now_ms - age_ms)
            self._filter(media)
            if key is not None:
                self._pressed(key)
        return media.hear(now_ms)

    def report(self, now_ms: float) -> None:
        """Read reports, and send one if it is due."""
        media = self.media
        if media is None:
            return
        for data, source, age_ms in sockets.receive(self._sockets.control):
            media.receive_control(data, source, now_ms - age_ms)
        if (report := media.report(now_ms)) is not None:
            sockets.send(self._control_socket, report, media.remote_control)

    def silent_ms(self, now_ms: float) -> float:
        """How long the peer has sent nothing at all; 0 before the first agreement."""
        return self.media.silent_ms(now_ms) if self.media is not None else 0.0

    @property
    def silent_by_right(self) -> bool:
        """Whether the peer need not send."""
        return self.media is None or self.media.silent_by_right

    def _filter(self, media: Media) -> None:
        if media.sources is not self._sources:
            self._sources = media.sources
            socket_filter.only_from(self._sockets.audio, media.sources)

    @property
    def _control_socket(self) -> socket.socket:
        shared = self.media is not None and self.media.remote == self.media.remote_control
        return self._sockets.audio if shared else self._sockets.control

    def _now_ms(self) -> float:
        return 1000 * self._loop.time()
