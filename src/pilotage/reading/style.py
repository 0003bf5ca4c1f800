"""The little of CSS that can hide text: declarations, simple rules, colours.

Not covered: selectors other than `.name` and `#name`, at-rules, variables, units relative to the window.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilotage.reading.tree import names

Style = dict[str, str]
Colour = tuple[int, int, int]

FAR = 400  # pixels (or a full width in em or percent, see _FAR) beyond the edge of the page
LONGEST_SHEET = 300_000

_TELLING = names(
    "display visibility opacity font-size font color background background-color background-image position left top "
    "right bottom margin-left margin-top text-indent clip clip-path transform width height max-width max-height "
    "overflow overflow-x overflow-y filter"
)
_LONGEST = 200  # characters of a value
_MARK = re.compile("[{};]")
_SIMPLE = re.compile(r"[.#][\w-]+")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_LENGTH = re.compile(r"(-?\d*\.?\d+)(px|pt|em|rem|%|vw|vh|in|cm|ch|)")
_HEX = re.compile(r"#([0-9a-f]{3,8})\b")
_RGB = re.compile(r"rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)(?:[\s,/]+([\d.]+%?))?\s*\)")
_NAMES = {
    "white": "#fff", "snow": "#fffafa", "ivory": "#fffff0", "floralwhite": "#fffaf0", "ghostwhite": "#f8f8ff",
    "whitesmoke": "#f5f5f5", "azure": "#f0ffff", "mintcream": "#f5fffa", "black": "#000", "gray": "#808080",
    "grey": "#808080", "silver": "#c0c0c0", "red": "#f00", "green": "#008000", "blue": "#00f", "yellow": "#ff0",
    "navy": "#000080", "lightgray": "#d3d3d3", "lightgrey": "#d3d3d3",
}  # fmt: skip
_PIXELS = {"px": 1, "": 1, "pt": 1.33, "em": 16, "rem": 16, "%": 5, "vw": 10, "vh": 10, "in": 96, "cm": 38, "ch": 8}


def declarations(text: str) -> Style:
    """Declarations of an inline style that can hide something; `!important` is dropped, the last one wins."""
    found: Style = {}
    for part in text.lower().split(";"):
        name, colon, value = part.partition(":")
        if colon and (name := name.strip()) in _TELLING:
            found[name] = value[:_LONGEST].replace("!important", "").strip()
    return found


def rules(sheet: str) -> dict[str, Style]:
    """Rules whose selectors are a class or an id alone; what stands in @media and the like does not count."""
    found: dict[str, Style] = {}
    if "{" not in sheet:
        return found
    for selectors, body in _top_rules(_COMMENT.sub("", sheet[:LONGEST_SHEET])):
        simple = [name for selector in selectors.split(",") if _SIMPLE.fullmatch(name := selector.strip())]
        style = declarations(body) if simple else {}
        for name in simple if style else ():
            found[name] = found.get(name, {}) | style
    return found


def _top_rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Selectors and body of each rule that stands in no @-rule."""
    depth = start = opened = 0
    for mark in _MARK.finditer(sheet):
        place, letter = mark.start(), mark.group()
        if letter == "{":
            depth, opened = depth + 1, opened if depth else place
        elif letter == "}":
            depth = max(0, depth - 1)
        if letter == "}" and not depth:
            selectors = sheet[start:opened].strip()
            if not selectors.startswith("@") and start <= opened:
                yield selectors, sheet[opened + 1 : place]
        if not depth and letter != "{":
            start = place + 1


def unseen(style: Style) -> str:
    """The property that keeps an element from being seen, or ""."""
    if style.get("display") == "none":
        return "display"
    if style.get("visibility") in ("hidden", "collapse"):
        return "visibility"
    if _is_zero(style.get("opacity", "")) or "opacity(0" in style.get("filter", ""):
        return "opacity"
    if _pixels(style.get("font-size", "")) <= 1 or re.match(r"(?:.* )?0(?:px|pt|em)?[ /]", style.get("font", "")):
        return "font"
    if style.get("color") == "transparent" or _transparent(style.get("color", "")):
        return "color"
    return "position" if _is_clipped(style) or _is_far(style) else ""


def colour(text: str) -> Colour | None:
    """Red, green and blue of the first colour in a value; None when it cannot be told."""
    text = text.lower()
    if "url(" in text or "gradient" in text:
        return None
    if match := _RGB.search(text):
        return None if match[4] and _is_zero(match[4]) else (int(match[1]), int(match[2]), int(match[3]))
    word = next((_NAMES[part] for part in text.split() if part in _NAMES), text)
    if not (match := _HEX.search(word)):
        return None
    digits = match[1] if len(match[1]) >= 6 else "".join(2 * digit for digit in match[1])
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16))


def _transparent(text: str) -> bool:
    match = _RGB.search(text)
    return bool(match and match[4] and _is_zero(match[4]))


def _is_clipped(style: Style) -> bool:
    clip = style.get("clip", "").replace(" ", "")
    if clip.startswith(("rect(0", "rect(1px")) or re.match(r"inset\((?:50|100)%", style.get("clip-path", "")):
        return True
    shut = "hidden" in style.get("overflow", "") + style.get("overflow-x", "") + style.get("overflow-y", "")
    sides = ("width", "height", "max-width", "max-height")
    return shut and any(_pixels(style.get(side, "")) <= 1 for side in sides)


def _is_far(style: Style) -> bool:
    moved = style.get("position", "") in ("absolute", "fixed", "relative")
    names = ("left", "top", "right", "bottom") if moved else ()
    if any(abs(_pixels(style.get(name, ""), 0)) >= FAR and "-" in style[name] for name in names):
        return True
    if any(_pixels(style.get(name, ""), 0) <= -FAR for name in ("text-indent", "margin-left", "margin-top")):
        return True
    transform = style.get("transform", "").replace(" ", "")
    return bool(re.search(r"scale[xy]?\(0[,)]|translate\w*\(-\d{3,}", transform))


def _pixels(text: str, otherwise: float = 1000) -> float:
    match = _LENGTH.fullmatch(text)
    return float(match[1]) * _PIXELS[match[2]] if match else otherwise


def _is_zero(text: str) -> bool:
    match = _LENGTH.fullmatch(text)
    return bool(match) and abs(float(match[1])) < 0.05  # type: ignore[index]
