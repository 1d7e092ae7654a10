"""YAML as people write it: yes, no, on and off are words, and a repeated key is an error."""

import re
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
