"""No module of the source tree imports itself by way of others, not for types either."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "audio", "bench", "config", "telephony")


def modules(root: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """The text of each module, by its name."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path.read_text(encoding="utf-8")
    return found


def imported(text: str, known: dict[str, str]) -> set[str]:
    """The modules that a text imports anywhere: in functions and under `TYPE_CHECKING` as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & known.keys()) or {node.module}
    return names & known.keys()


def circles(texts: dict[str, str]) -> list[list[str]]:
    """Each module that can be reached from itself, with the way round."""
    graph = {name: imported(text, texts) for name, text in texts.items()}

    def way_round(start: str) -> list[str]:
        came: dict[str, str] = {}
        todo = [start]
        while todo:
            at = todo.pop()
            for after in sorted(graph[at] - came.keys()):
                came[after] = at
                todo.append(after)
        return list(steps(came, start)) if start in came else []

    return [way for name in graph if (way := way_round(name))]


def steps(came: dict[str, str], start: str) -> Iterator[str]:
    """The way back from `start` to itself."""
    at = start
    while True:
        yield at
        at = came[at]
        if at == start:
            return


def test_no_module_imports_itself_by_way_of_others() -> None:
    texts = modules(ROOT, PACKAGES)
    assert len(texts) > 250
    assert circles(texts) == []


@pytest.mark.parametrize(
    "back",
    [
        "from house.a import A",
        "from house import a",
        "import house.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import A",
        "def later():\n    from house.a import A",
    ],
)
def test_a_circle_is_found(back: str) -> None:
    texts = {"house": "", "house.a": "from house.b import B", "house.b": "import house.c", "house.c": back}
    assert sorted(map(sorted, circles(texts))) == [["house.a", "house.b", "house.c"]] * 3
    texts["house.c"] = ""
    assert circles(texts) == []
