"""YAML as people write it."""

import pytest
import yaml

from config.strict_yaml import DEEPEST, load


@pytest.mark.parametrize("one", ["[{}]", "- {}", "{a: {}}"])
def test_what_is_nested_without_end_is_refused(one: str) -> None:
    begin, end = one.split("{}")
    with pytest.raises(yaml.YAMLError, match=f"nested more than {DEEPEST} deep"):
        load(begin * 200_000 + "1" + end * 200_000)


def test_words_stay_words_and_a_key_stands_once() -> None:
    assert load("a: [yes, off, true]") == {"a": ["yes", "off", True]}
    with pytest.raises(yaml.YAMLError, match="a: stands twice"):
        load("a: 1\na: 2")
