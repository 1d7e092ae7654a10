"""YAML as people write it."""

import pytest
import yaml

from config.strict_yaml import DEEPEST, line_of, load


@pytest.mark.parametrize("one", ["[{}]", "- {}", "{a: {}}"])
def test_what_is_nested_without_end_is_refused(one: str) -> None:
    begin, end = one.split("{}")
    with pytest.raises(yaml.YAMLError, match=f"nested more than {DEEPEST} deep"):
        load(begin * 200_000 + "1" + end * 200_000)


def test_words_stay_words_and_a_key_stands_once() -> None:
    assert load("a: [yes, off, true]") == {"a": ["yes", "off", True]}
    with pytest.raises(yaml.YAMLError, match="a: stands twice"):
        load("a: 1\na: 2")


def test_the_line_of_a_key() -> None:
    text = "a: 1\nb:\n  c: [x,\n    y]\n  d: {e: 2}\n"
    for path, line in (
        (["a"], 1),
        (["b", "c"], 3),
        (["b", "c", 1], 4),
        (["b", "d", "e"], 5),
        (["b", "no", "e"], 2),
        (["b", "c", 7], 3),
        (["no"], None),
        ([], None),
    ):
        assert line_of(text, path) == line
    assert line_of("", ["a"]) is None
