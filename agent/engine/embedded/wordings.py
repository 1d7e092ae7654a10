"""How people lead up to what they want, what they put behind it, and how else they say what is built in.

Only transcripts are matched with these. The language model that pocketsphinx hears by knows the few that stand in
config/dialogue.py: with so many more words noise would sound like some of them.
"""

from config.dialogue import BuiltIn

HELLO = [
    "(hello | hi | hey | hiya | (good | nice) (morning | afternoon | evening | day)) [there | again]",
    "(yes | yeah) (hello | hi | hey | hiya | good (morning | afternoon | evening))",
    "how are you [doing] [today]",
    "(hoping | i hope) you can help [me | us]",
    "(i have | i've got | just) a [quick] question [about | for you]",
]
# Whoever ends so will go on.
LEADING_UP = [
    "(i'm | i am | we're | i was | we were) [just] (wondering | hoping | thinking) "
    "[if | whether | about | of | to | for]",
    "(i'm | i am | we're) [just] trying to",
    "(if | whether) (i | we | someone | somebody) (can | could | might) [please | possibly | just] [have | get]",
    "(i'm | we're) [just] (calling | ringing | phoning | looking) [up] [to | about | because | for | so]",
    "(i'd | we'd | i | we) [just | really] (like | love | want | wanted | need) to "
    "[ask | know | check | see | find out | speak to you] [if | whether | about | for]",
    "(i | we) [just | really] (need | want | wanted) [a | an | some]",
    "(i'm | i am) (afraid | sorry) [but]",
    "(can | could | may | might | would) (i | you | we) [please | possibly | just] "
    "(tell me | let me know | help me | ask you | ask) [if | whether | about | with | to]",
    "do you (know | think) (if | whether)",
    "do you think (i | we | you | someone | somebody) (can | could | might)",
    "(is it | would it be) [at all] possible [for (me | us)] to [have | get]",
    "is there any (chance | way) [of | that | to] [i | we | you] [can | could]",
    "would you mind",
    "(i'm | we're) after",
    "(i've | we've | i have | we have) got to",
    "is it too (late | early) to",
    "my (wife | husband | son | daughter | partner) (wants | needs | would like) [to | a | an | some]",
    "what (i | we) (need | want) is [to]",
    "(because | but)",
]
BEHIND = [
    "if (that's | that is | it's | it is) [at all] (possible | okay | all right | alright | fine)",
    "if (you can | you could | you don't mind | i may | possible)",
    "(at all | by any chance | as soon as possible | right away | straight away | any more)",
    "(you guys | guys | mate | love)",
    "(thanks | thank you) [very much | so much | a lot | ever so much]",
    "would (you | that be (possible | okay | all right))",
    "(that | only | just)",
]
BUILT_IN: dict[BuiltIn, list[str]] = {
    "yes": [
        "[i think | i guess] (that | it) (should | would | will) (work | do | be (fine | good | okay | perfect)) "
        "[fine] [for (me | us)]",
        "[that] sounds (good | great | fine | perfect | about right)",
    ],
    "no": [
        "not (any more | now | today | really | at the moment)",
        "(that's | that is | that'll be | that was) everything [for (today | now) | i (need | needed | wanted)]",
    ],
    "person": [
        "(speak | talk) (to | with) (someone | somebody | anyone) [real | human] "
        "[(at | in | from) [the] (reception | office | front desk | desk | team)]",
        "(put me through | transfer me | connect me) to [the | a | an] [real | human] "
        "(reception | receptionist | office | front desk | person | human | operator | someone | somebody) [real]",
    ],
}
