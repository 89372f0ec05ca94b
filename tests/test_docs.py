"""Documentation is tested like code: what it names exists, and its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from callsift.cli import app
from callsift.data.manifest import read_manifest
from callsift.errors import ErrorCode, WarningCode
from callsift.labels import load_scheme

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), flags=re.DOTALL)


def _commands() -> list[tuple[str, tuple[str, ...]]]:
    found = re.findall(r"^\.venv/bin/callsift (.*?)(?:\s+#.*)?$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    return [(line.split()[0], tuple(word for word in line.split() if word.startswith("--"))) for line in found]


def test_readme_commands_and_their_options_exist() -> None:
    commands = _commands()
    assert {verb for verb, _ in commands} >= {"score", "train", "export"}
    for verb, options in commands:
        told = CliRunner().invoke(app, [verb, "--help"])
        assert told.exit_code == 0, verb
        for option in options:
            assert option in told.output, f"{verb} {option}"


def test_make_targets_named_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_json_examples_are_json_and_the_manifest_one_is_read(tmp_path: Path) -> None:
    for page in PAGES:
        for block in _blocks(page, "json"):
            json.loads(block)
    example = json.loads(_blocks(ROOT / "docs/formats.md", "json")[0])
    (tmp_path / "calls").mkdir()
    for name in (example["audio"], example["transcript"]):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "manifest.jsonl").write_text(json.dumps(example))
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    assert not manifest.notes
    manifest.check_labels(load_scheme("marketcalls"))


def test_the_scheme_example_is_a_scheme() -> None:
    for block in _blocks(ROOT / "docs/formats.md", "yaml"):
        assert load_scheme(yaml.safe_load(block)).id == "mine"


def test_every_error_code_is_explained() -> None:
    page = (ROOT / "docs/formats.md").read_text("utf-8")
    for code in ErrorCode:
        assert f"`{code.value}`" in page, code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_files_named_in_the_architecture_page_exist() -> None:
    for name in re.findall(r"`([a-z_/]+\.py)`", (ROOT / "docs/architecture.md").read_text("utf-8")):
        assert (ROOT / "src/callsift" / name).is_file(), name


def test_every_warning_code_is_in_the_formats_page() -> None:
    text = (ROOT / "docs/formats.md").read_text("utf-8")
    assert [code for code in WarningCode if f"`{code.value}`" not in text] == []
