"""MkDocs hooks: who reads what, the pages that lie outside docs/, and one page a module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

READERS = {
    "Artists": ["readme.md", "report.md", "nuke.md", "gallery.md", "grain.md", "quality.md"],
    "Wranglers": ["formats.md", "colour.md", "farm.md", "batch.md"],
    "TDs": ["cli.md", "ofx.md", "method.md", "figures.md", "dependencies.md"],
    "Contributors": ["contributing.md", "experiments.md", "changelog.md"],
}
"""Pages by who reads them. One that is not there yet is left out; one that is not named here is
listed under More."""

OUTSIDE = {
    "../README.md": "readme.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}
"""Files beside docs/ that are pages of the site."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s#]*)(#[^)\s]*)?\)")
_PLACE = re.compile(r"(?<=\]\()(?!https?:|#)(docs/)?")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the navigation of the pages that there are."""
    there = {path.name for path in (ROOT / "docs").glob("*.md")} | set(OUTSIDE.values())
    nav: list[object] = [{"Start": "index.md"}]
    for readers, names in READERS.items():
        nav.append({readers: [name for name in names if name in there]})
    named = {"index.md", *(name for names in READERS.values() for name in names)}
    rest = sorted(there - named)
    nav += [{"More": rest}] if rest else []
    nav.append({"API": [f"api/{name}.md" for name in _tops()]})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside docs/, and one for each module or package of ours."""
    for source, page in OUTSIDE.items():
        text = (ROOT / "docs" / source).resolve().read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_seen_from_docs(text)))
    for top in _tops():
        body = "\n\n".join(f"::: infusion_ofx.{name}" for name in _modules(top))
        files.append(File.generated(config, f"api/{top}.md", content=f"# {top}\n\n{body}\n"))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links out of docs/ to the pages that stand for them; of others the words are left."""

    def led(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        if target not in OUTSIDE:
            return str(words)
        return f"[{words}]({OUTSIDE[target]}{anchor or ''})"

    return _LINK.sub(led, markdown)


def _seen_from_docs(text: str) -> str:
    """A page's links as they would be written in docs/."""
    return _PLACE.sub(lambda match: "" if match[1] else "../", text)


def _tops() -> list[str]:
    """Names of our modules and packages, in the order of the alphabet."""
    found = (ROOT / "infusion_ofx").iterdir()
    return sorted(
        path.stem
        for path in found
        if path.stem != "__init__"
        and (path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file()))
    )


def _modules(top: str) -> Iterator[str]:
    """A module itself; of a package all that is in it."""
    yield top
    for path in sorted((ROOT / "infusion_ofx" / top).glob("*.py")):
        if path.stem != "__init__":
            yield f"{top}.{path.stem}"
