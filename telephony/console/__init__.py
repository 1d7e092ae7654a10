"""Pages for people, at /console: what is going on, what has been, and what is set.

console.py puts it together, pages.py makes pages of templates/ and answers whoever may not see them, and each of the
other files is a page or two. assets/ holds what browsers load; the modules that draw a call are those of
telephony/report. What is costly (the page of a tape, the doctor) is made by aside.py in a process of its own.
"""
