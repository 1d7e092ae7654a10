"""The trigram model of three sentences, worked out by hand."""

from agent.engine.embedded.trigrams import arpa

# Of 7 words 3 are "no": 3/7 = 10^-0.368. After <s> it came twice of three times, less the discount of a half:
# 1.5/3 = 10^-0.301. What follows <s> left 2 * 0.5/3 for others, and those are 1 - 3/7 - 1/7 of all words: 10^-0.1091.
MODEL = r"""\data\
ngram 1=4
ngram 2=4
ngram 3=3

\1-grams:
-0.3680 </s>
-99.0000 <s> -0.1091
-0.3680 no -0.5351
-0.8451 yes -0.0580

\2-grams:
-0.3010 <s> no 0.1761
-0.7782 <s> yes 0.0000
-0.0792 no </s>
-0.3010 yes no 0.4771

\3-grams:
-0.1249 <s> no </s>
-0.3010 <s> yes no
-0.3010 yes no </s>

\end\
"""


def test_counts_become_probabilities_and_weights() -> None:
    assert arpa([["no"], ["yes", "no"], ["no"]]) == MODEL


def test_a_weight_of_one_has_no_sign() -> None:
    """Which sign it had would depend on the order in which probabilities are added."""
    assert "-0.0000" not in arpa([["yes", "no", "stop", "yes"], ["no", "yes"], ["stop"], ["yes"], ["no", "no"]])
