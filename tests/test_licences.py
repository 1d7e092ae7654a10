"""voxline's dependencies: every licence is known, and the files of a release name the tested versions."""

import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
EXTRAS = {"embedded", "gpu", "postgres", "sip", "traces"}
WITHOUT = {"silero-vad"}  # of its dependencies, torch and torchaudio, the Makefile takes none
PERMISSIVE = re.compile(
    r"(0BSD|AFL|Apache|BSD|CC0|CNRI|HPND|ISC|LLVM-exception|MIT|OSI|PSF|Public.Domain|Python Software|Unlicense"
    r"|Zlib|zlib)"
)
STRICTER = re.compile(r"\b(A?GPL|LGPL|MPL|GNU|Mozilla|EUPL|SSPL|BUSL|proprietary)", re.IGNORECASE)
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


@cache
def brought() -> dict[str, Distribution]:
    """Every distribution that voxline with these extras needs on this machine, by its name."""
    found: dict[str, Distribution] = {}
    waiting = [(distribution("voxline"), EXTRAS)]
    while waiting:
        package, extras = waiting.pop()
        for requirement in map(Requirement, package.requires or []):
            name = canonicalize_name(requirement.name)
            needed = any(
                not requirement.marker or requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            if not needed or name in found:
                continue
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue  # of another platform, or torch's for CUDA
            if name not in WITHOUT:
                waiting.append((found[name], requirement.extras))
    return found


def licence(package: Distribution) -> str:
    """What a package says of its licence: an SPDX expression, else all it says elsewhere."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    said = [line for line in (metadata.get("License") or "").splitlines()[:3] if line.strip() not in ("", "UNKNOWN")]
    classifiers = metadata.get_all("Classifier") or []
    return "; ".join([*said, *(line for line in classifiers if line.startswith("License ::"))])


@pytest.mark.parametrize("name", sorted(brought()))
def test_every_licence_is_permissive_or_on_the_page(name: str) -> None:
    said = licence(brought()[name])
    listed = f"| {name} |" in PAGE
    if not said or STRICTER.search(said):
        assert listed, f"{name}: {said or 'says nothing'}; look at it and describe it in docs/licences.md"
    else:
        assert PERMISSIVE.search(said), f"{name}: {said!r} is none that this test knows"
        assert not listed, f"{name}: {said!r}, so it need not stand in docs/licences.md"


def test_the_page_names_only_what_is_brought() -> None:
    listed = re.findall(r"^\| ([a-z0-9-]+) \| \S*[GM]PL", PAGE, re.MULTILINE)
    assert len(listed) > 5
    assert set(listed) <= brought().keys()


@pytest.mark.parametrize("profile", ["embedded", "gpu"])
def test_a_release_has_the_versions_that_are_tested(profile: str) -> None:
    tested = {canonicalize_name(name): version for name, version in pins(ROOT / "constraints.txt")}
    released = {canonicalize_name(name): version for name, version in pins(ROOT / f"deploy/requirements-{profile}.txt")}
    assert {"starlette", "onnxruntime", "silero-vad", "pocketsphinx"} <= released.keys()
    assert ("torch" in released) is (profile == "gpu")
    differ = {
        name: (version, tested[name]) for name, version in released.items() if tested.get(name, version) != version
    }
    assert not differ, "run make lock"
    if profile == "gpu":
        missing = brought().keys() - released.keys()
        assert not missing, "run make lock"


def test_every_file_of_a_release_has_a_hash() -> None:
    for path in sorted((ROOT / "deploy").glob("requirements-*.txt")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip()]
        assert lines
        assert all("--hash=sha256:" in line for line in lines)
        assert "://" not in text


def pins(path: Path) -> list[tuple[str, str]]:
    return PINNED.findall(path.read_text(encoding="utf-8"))
