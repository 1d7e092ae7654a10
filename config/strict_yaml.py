"""YAML as people write it: yes, no, on and off are words, and a repeated key is an error."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

DEEPEST = 50

# libyaml's parser, if PyYAML was built with it: it reads the shipped files in a fifteenth of the time.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = sorted({str(key) for key in keys if keys.count(key) > 1})
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)}: stands twice", node.start_mark)
        return mapping


_TRUTH = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != _TRUTH]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_TRUTH, re.compile("true|false"), list("tf"))


def load(text: str) -> Any:
    """Parse the text. Raises yaml.YAMLError."""
    depth = 0
    for event in yaml.parse(text, _Safe):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:  # libyaml's loader would overflow the stack
            raise yaml.YAMLError(f"nested more than {DEEPEST} deep")
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def line_of(text: str, path: Sequence[object]) -> int | None:
    """The line, from 1, in which a key stands, or the last one above it that is there; None where there is none."""
    node = yaml.compose(text, _Safe)
    line: int | None = None
    for part in path:
        found = _below(node, part)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


def _below(node: Any, part: object) -> tuple[Any, Any] | None:
    """What has this key or number in a node, the key first."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
