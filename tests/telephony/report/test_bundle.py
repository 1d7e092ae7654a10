"""The modules of the page: whole on their own, and as one."""

import re

from telephony.report import bundle


def test_each_module_imports_what_those_before_it_export() -> None:
    exported: dict[str, set[str]] = {}
    for name in bundle.SCRIPTS:
        text = bundle.read(f"{name}.js")
        for names, module in re.findall(r'^import \{ (.*) \} from "\./(\w+)\.js";$', text, re.MULTILINE):
            assert set(names.split(", ")) <= exported[module], name
            used = re.sub(r"^import .*$", "", text, flags=re.MULTILINE)
            assert all(re.search(rf"\b{each}\b", used) for each in names.split(", ")), name
        exported[name] = set(re.findall(r"^export (?:async )?(?:function|const) (\w+)", text, re.MULTILINE))


def test_as_one_they_import_and_export_nothing_and_share_no_name() -> None:
    script = bundle.script()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|const|let) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)) > 40


def test_every_colour_is_light_and_dark() -> None:
    style = bundle.read("base.css")
    assert style.count("light-dark(") > 30
    assert "prefers-color-scheme" not in bundle.style()
