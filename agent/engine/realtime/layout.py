"""How the model divides up audio and tokens, by numbers that come with a checkpoint's tokenizer and feature
extractor."""

from dataclasses import dataclass

from audio.rate import WIDE_RATE

LONGEST_S = 90  # seconds of one utterance; the rest is not heard
FLUSH_TOKENS = 10  # of silence beyond the delay within which the longest word has surely come out (mistral-common)


@dataclass(frozen=True)
class Layout:
    """Audio is 16 kHz. Token i hears the samples from i * token - back to i * token - back + frame."""

    token: int  # samples
    frame: int  # samples
    back: int  # samples
    silence: int  # tokens of silence before an utterance
    delay: int  # tokens by which the words lag behind the speech
    begin: int  # id of the token that begins a stream
    pad: int  # id of the token that says nothing
    end: int  # id of the token that would end a stream

    @property
    def prompt(self) -> list[int]:
        """The first tokens, the same for every utterance."""
        return [self.begin] + [self.pad] * (self.silence + self.delay)

    @property
    def prefix(self) -> int:
        """Tokens that hear only the silence before an utterance, so they are computed once for all."""
        return self.silence - -(-(self.frame - self.back - self.token) // self.token)

    @property
    def lead(self) -> int:
        """Samples of that silence that the first token of an utterance hears."""
        return (self.silence - self.prefix) * self.token + self.back

    @property
    def flush(self) -> int:
        """Tokens of silence after an utterance until all its words have come out."""
        return self.delay + 1 + FLUSH_TOKENS

    @property
    def longest(self) -> int:
        """Tokens of the longest utterance, with the silence around it."""
        return self.silence + LONGEST_S * WIDE_RATE // self.token + self.flush + 1
