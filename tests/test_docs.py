"""The documentation is true where a program can tell: links, settings, paths, commands, metrics, examples."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from config.agent import load_agent
from config.settings import Settings, load_settings
from telephony.cli.main import build_parser
from telephony.lines.metrics import Metrics

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
        ROOT / "tests" / "calls" / "README.md",
    ]
)
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which tells of what was
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PACKAGES = ("agent", "audio", "config", "telephony", "bench")

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
KEY = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)(?:[:=].*)?")
PLACE = re.compile(r"(?<![\w/.])(?:agent|audio|config|telephony|bench|deploy|docs|tests|findings)/[\w/.-]*\w")
FILES = (".wav", ".py")  # `call.wav` and `routes.py` are no settings
MEMBER = re.compile(r"`([A-Z]\w+)\.(\w+)`")

pages = pytest.mark.parametrize("page", PRESENT, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def fences(page: Path, *kinds: str) -> Iterator[str]:
    for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind in kinds:
            yield text


def has_setting(key: str) -> bool:
    inner: object = Settings
    for part in key.split("."):
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return False
        field = next((field for name, field in inner.model_fields.items() if part in (name, field.alias)), None)
        if field is None:
            return False
        inner = field.annotation
    return True


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


@pages
def test_every_setting_exists(page: Path) -> None:
    keys = {match[1] for code in CODE.findall(prose(page)) if (match := KEY.fullmatch(code))}
    keys |= set(re.findall(r"--set ([a-z_.]+)=", page.read_text(encoding="utf-8")))
    named = re.findall(r"VOXLINE_([A-Z_]+__[A-Z_]+)", page.read_text(encoding="utf-8"))
    keys |= {name.lower().replace("__", ".") for name in named}
    keys = {key for key in keys if key.split(".")[0] in Settings.model_fields and not key.endswith(FILES)}
    assert [key for key in sorted(keys) if not has_setting(key)] == []


def test_wrong_keys_would_be_found() -> None:
    assert has_setting("turn.endpoint_ms")
    assert has_setting("engine.fallback.filler_ms")
    assert not has_setting("turn.endpont_ms")
    assert not has_setting("turn.endpoint_ms.more")


@pages
def test_every_file_and_folder_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"\S*://\S*", "", page.read_text(encoding="utf-8"))
    assert [place for place in PLACE.findall(text) if not (ROOT / place).exists()] == []


@pages
def test_every_metric_exists(page: Path) -> None:
    metrics = Metrics()
    there = set(re.findall(r"^# TYPE (voxline_\w+)", metrics.exposition().decode(), re.MULTILINE))
    there |= {f"{name}_total" for name in there}
    named = re.findall(r"`(voxline_\w+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if name not in there] == []


@pages
def test_every_command_can_be_given(page: Path) -> None:
    for line in "".join(fences(page, "", "sh", "bash")).splitlines():
        command = re.match(r" *(?:\.venv/bin/)?voxline (.*)", line)
        if command is None:
            continue
        try:
            build_parser().parse_args(shlex.split(command[1], comments=True))
        except SystemExit:
            pytest.fail(line)


@pages
def test_every_target_of_make_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    text = page.read_text(encoding="utf-8")
    named = {name for code in CODE.findall(prose(page)) for name in re.findall(r"^make ([a-z-]+)$", code)}
    named |= {name for fence in fences(page, "") for name in re.findall(r"^make ([a-z-]+)", fence, re.MULTILINE)}
    assert not named - set(targets), text[:40]


@pages
def test_every_yaml_is_an_agent_or_settings(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    for text in fences(page, "yaml"):
        content = yaml.safe_load(text)
        if content is None:
            continue  # a comment for editors
        file = tmp_path / f"{content.get('name', 'settings')}.yaml"
        file.write_text(text, encoding="utf-8")
        if "name" in content:
            assert load_agent(file).dialogue is not None
        else:
            load_settings(file)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index]
    assert missing == ["README.md"]


# The page on the architecture


def tree() -> set[str]:
    """The paths that the tree names, by its indentation; a folder's ends in a slash."""
    found: set[str] = set()
    above: list[tuple[int, str]] = []
    [text] = [fence for fence in fences(ARCHITECTURE, "") if fence.startswith("audio/")]
    for line in text.splitlines():
        names, _, rest = line.strip().partition("  ")
        indent = len(line) - len(line.lstrip())
        above = [(deep, folder) for deep, folder in above if deep < indent]
        inside = above[-1][1] if above else ""
        found |= {inside + name for name in names.split(", ")}
        found |= {inside + name for name in re.findall(r"\b\w+\.py\b", rest)}
        if names.endswith("/"):
            above.append((indent, inside + names.split(", ")[-1]))
    return found


def test_the_tree_names_only_what_there_is() -> None:
    missing = {path for path in tree() if not (ROOT / path).exists()}
    # a file named in the words beside a folder is in that folder
    assert {path for path in missing if not list(ROOT.glob(f"{Path(path).parent}/*/{Path(path).name}"))} == set()


def test_the_tree_names_every_folder_with_code() -> None:
    named = tree()
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert sorted(str(path.relative_to(ROOT)) for path in folders if f"{path.relative_to(ROOT)}/" not in named) == []


def test_what_the_answers_point_at_is_in_the_files_that_they_link() -> None:
    text = prose(ARCHITECTURE)
    sources = [(ROOT / "docs" / link).resolve() for link in LINK.findall(text) if link.endswith(".py")]
    members = MEMBER.findall(text)
    assert len(members) >= 5
    for model, member in members:
        places = [path.read_text(encoding="utf-8") for path in sources]
        assert any(f"class {model}" in place and re.search(rf"\b{member}\b", place) for place in places), member
