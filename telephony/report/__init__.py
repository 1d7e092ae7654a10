"""A page about one call, made from its tape: what was said, what was heard, and where the time went; and an index
of a folder of tapes.

tape.py reads the file, story.py follows the replies (replies.py) and caller_speech.py the caller, timeline.py and
transcript.py say what the page shows of both, sound.py makes the two audio tracks, rows.py the table of events,
figures.py what is to be seen at a glance, page.py puts all of it into assets/, index.py lists the calls of a folder.
"""

from telephony.report.index import INDEX, page_name, write_reports
from telephony.report.page import write_report

__all__ = ["INDEX", "page_name", "write_report", "write_reports"]
