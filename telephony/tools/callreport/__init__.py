"""One page about one call, made from its tape: what was said, what was heard, and where the time went.

tape.py reads the file, story.py follows the replies, timeline.py and transcript.py tell what the page shows of them,
sound.py makes the two audio tracks, rows.py the table of events, page.py puts all of it into assets/.
"""

from telephony.tools.callreport.page import write_report

__all__ = ["write_report"]
