"""Words to chunks: where a reply that is still being written may be cut for speaking. Sans-I/O."""

import re

from config.settings import ReplySettings

# A mark counts only before a space, so that 2.30, e-mail addresses and a mark that is still to be followed do not cut.
_CLAUSE = re.compile(r"[,;:.?!…]['\")\]]*(?=\s)")
_SENTENCE = re.compile(r"[.?!…]['\")\]]*(?=\s)")
_ABBREVIATION = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|St|Prof|No|vs|etc|e\.g|i\.e|[A-Za-z]|[ap]\.m)\.$")


class Chunker:
    """Collects the text of one reply; the first chunk may end at a clause, the later ones at sentences."""

    def __init__(self, settings: ReplySettings) -> None:
        self._settings = settings
        self._text = ""
        self._first = True
        self._room = settings.max_chars

    def add(self, text: str) -> list[str]:
        """Take more text and give the chunks that are complete. Beyond `max_chars` in all, text is dropped."""
        self._text += text[: self._room]
        self._room -= min(len(text), self._room)
        chunks = []
        while (end := self._end()) is not None:
            chunks.append(self._text[:end].strip())
            self._text = self._text[end:]
            self._first = False
        return chunks

    def rest(self) -> str:
        """What remains when the reply is complete; may be empty."""
        text, self._text = self._text.strip(), ""
        return text

    def _end(self) -> int | None:
        for match in (_CLAUSE if self._first else _SENTENCE).finditer(self._text):
            chunk = self._text[: match.end()].strip()
            if _ABBREVIATION.search(chunk):
                continue
            if self._first and len(chunk.split()) >= self._settings.words_trigger_threshold:
                return match.end()
            if not self._first and len(chunk) >= self._settings.min_sentence_chars:
                return match.end()
        return None
