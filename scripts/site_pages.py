"""Hooks of mkdocs: files outside docs/ that a page links become pages of the site, so that no link leads nowhere; and
the search works from the disk too.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(\.\./([^)\s#]+)(#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".yml": "yaml", ".json": "json", ".toml": "toml", ".txt": "text"}


def page_of(path: str) -> str:
    """Where the page of a file of the tree lies in the site."""
    return f"tree/{path}" if path.endswith(".md") else f"tree/{path}.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file of the tree that a page of docs/ links."""
    texts = [Path(file.abs_src_path or "").read_text() for file in files.documentation_pages()]
    wanted = {found[1] for text in texts for found in LINK.finditer(text)}
    for path in sorted(wanted):
        text = (ROOT / path).read_text()
        if path.endswith(".md"):
            text = _pointing_into_the_site(text)
        else:
            text = f"# `{path}`\n\n```{LANGUAGES.get(Path(path).suffix, 'text')}\n{text}```\n"
        files.append(File.generated(config, page_of(path), content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links out of docs/ lead to those pages."""
    if page.file.src_uri.startswith("tree/"):
        return markdown
    up = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)
    return LINK.sub(lambda found: f"]({up}{page_of(found[1])}{found[2] or ''})", markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Write the index of the search as a script too: a page from the disk may read no file, but load a script."""
    folder = Path(config.site_dir) / "search"
    (folder / "search_index.js").write_text(f"var __index = {(folder / 'search_index.json').read_text()}")


def _pointing_into_the_site(text: str) -> str:
    """A page of the root, as seen from tree/: links into docs/ are near, other files of the root are named only."""
    text = re.sub(r"\]\(docs/", "](../", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|\.\./|#)[^)]+\)", r"\1", text)
