"""What callers of any business say when they want what many want: an intent gets these phrases by its `usual`."""

from typing import Literal

Usual = Literal["hours", "address", "price"]

_DAY = "monday | tuesday | wednesday | thursday | friday | saturday | sunday"
_DAYS = "mondays | tuesdays | wednesdays | thursdays | fridays | saturdays | sundays | weekends | weekdays"
_WHEN = (
    "[(this | in the) (morning | afternoon | evening) | today | tonight | tomorrow [(morning | evening)] | now | "
    f"[on] ({_DAY} | {_DAYS}) [(mornings | evenings)] | (at | on | over) (the weekend | christmas | easter) | "
    "[on] (bank | public) holidays | (over | at | during | for) lunch | in the (mornings | evenings)]"
)
_YOU = "(you [guys | all] | the (shop | office | place | practice | store | museum | restaurant | kitchen))"
_OPEN = "(open [up] | close | shut [down | up])"

PHRASES: dict[Usual, tuple[str, ...]] = {
    "hours": (
        f"[what are] (your | the) [opening | office | business] (hours | times) {_WHEN}",
        "what (your | the) [opening | office | business] (hours | times) are",
        "(opening | business | office) (hours | times)",
        f"(when | what time | how late | how early | how long | what days | until when) (are | is | do | does) {_YOU} "
        f"(there | {_OPEN}) [till | until | for | from] {_WHEN}",
        f"(when | what time | how late | how early | how long | what days | until when) (you | you're | you are) "
        f"(there | {_OPEN}) [till | until | for | from] {_WHEN}",
        f"(are | is) {_YOU} [still | even] (open | closed | shut) {_WHEN}",
        f"(do | does) {_YOU} (open | close | shut) {_WHEN}",
        f"(if | whether) (you're | you are | the (shop's | office's | museum's | restaurant's)) [still] open {_WHEN}",
    ),
    "address": (
        "[what's | what is] (your | the) [exact | full] address",
        "what (your | the) address is",
        f"(where | whereabouts) [exactly] (are | is) {_YOU} [exactly | located | based | at]",
        "(where | whereabouts) [exactly] (you are | you're) [located | based | at] [exactly]",
        "how (do | can | would) (i | we) (get | come) (there | to you | over there)",
        f"how (do | can | would) (i | we) find {_YOU}",
        f"how to (find | get to) {_YOU}",
        f"where (can | do) (i | we) find {_YOU}",
        "(what | which) (street | road | part of town) are you (on | in)",
        "[what's | what is] (your | the) (zip code | postcode | post code)",
        "directions [to (you | your (place | office | shop | practice))]",
    ),
    "price": (
        "how much (is (it | that) | are you | do you charge | (does | will | would) it cost | would it be) "
        "[to (get in | come in | come out)]",
        "(what | how much) (does | will | would | do) (it | that | you) (cost | charge) "
        "[to (get in | come in | come out)]",
        "what (are your (prices | rates | charges) | do you charge)",
        "(what | how much) it (costs | is | would cost)",
    ),
}

# Beside these words it is something else that they want.
UNLESS: dict[Usual, tuple[str, ...]] = {
    "hours": (),
    "address": ("email", "mail", "web", "website", "internet"),
    "price": (),
}
