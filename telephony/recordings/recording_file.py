"""One call's recording, on the side of the disk. Used by the writer's thread alone."""

from pathlib import Path
from typing import Literal

from soundfile import SoundFileError

from telephony.recordings.encoding import Encoder, OpusEncoder, WavEncoder
from telephony.recordings.output import Output
from telephony.recordings.recording import Recording
from telephony.recordings.removal import INCOMPLETE
from telephony.recordings.tracks import Tracks


class RecordingFile:
    """Lays the pieces out, encodes and writes them."""

    def __init__(self, recording: Recording, folder: Path, form: Literal["opus", "wav"]) -> None:
        self.recording = recording
        self.size = 0  # bytes, once it is finished
        self.path = folder / f"{recording.name}{'.ogg' if form == 'opus' else '.wav'}"
        self._form = form
        self._tracks = Tracks(recording.rate, recording.settle)
        self._encoder: Encoder | None = None
        self._output = Output(self.path)
        self._failed = False  # the encoder has

    def flush(self) -> None:
        """Write what has come in. While the disk takes nothing that stays where it is bounded, in the recording."""
        if self._written():
            self._advance(rest=False)

    def finish(self) -> None:
        """The call is over. Raises OSError."""
        recording = self.recording
        if self._written():
            self._advance(rest=True)
        if self._output.stuck or recording.take():
            recording.incomplete = True
        if recording.incomplete:
            self.path = self.path.with_name(f"{recording.name}{INCOMPLETE}{self.path.suffix}")
        self.size = self._output.size
        self._output.finish(self.path)

    def _advance(self, *, rest: bool) -> None:
        for piece in self.recording.take():
            match piece.kind:
                case "caller":
                    self._tracks.caller(piece.at, piece.pcm)
                case "agent":
                    self._tracks.agent(piece.at, piece.pcm)
                case "cut":
                    self._tracks.cut(piece.at)
                case _:
                    self._tracks.switch(piece.at, on=piece.kind == "resume")
        stereo = self._tracks.take(rest=rest)
        if self._failed:
            return
        try:
            data = self._open().encode(stereo) if len(stereo) else b""
            data += self._encoder.end() if rest and self._encoder else b""
        except SoundFileError as error:
            self._failed = self.recording.incomplete = True
            self.recording.log.error("the recording stops: %s", error)
            return
        self._written(data)

    def _open(self) -> Encoder:
        if self._encoder is None:
            rate, title = self.recording.rate, self.recording.name
            self._encoder = OpusEncoder(rate, title) if self._form == "opus" else WavEncoder(rate)
        return self._encoder

    def _written(self, data: bytes = b"") -> bool:
        """Whether the disk has taken everything so far."""
        before, done = self._output.error, self._output.write(data)
        if not done and not before:
            self.recording.log.error("the recording waits for the disk: %s", self._output.error)
        if done and self._encoder:
            self._output.overwrite(self._encoder.head(self._output.size))
        return done
