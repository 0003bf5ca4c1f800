"""What a reader of the page would not see: found by tag, attribute, inline style and simple rules of <style>.

Not covered: style sheets in other files, selectors other than `.name` and `#name`, media queries, and what a script
hides or shows. A background that is not written in the page itself is taken for white.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pilotage.guard.fence import clean, suspects
from pilotage.reading.style import Colour, Style, colour, declarations, rules, unseen
from pilotage.reading.tree import Node, Tree, names, squeeze

ENTRIES, LONGEST, WORDS = 50, 500, 3  # how much of what was dropped is kept

SILENT = ("code", "dropped")  # kinds that are not reported: programs, and what a site profile drops
_CODE = names("script style head svg")  # title and meta are read by metadata.py
_NEVER_DRAWN = names("template noscript noframes noembed iframe object video audio canvas datalist")
_ALTERNATIVES = {"alt": "alt", "title": "alt", "aria-label": "alt", "placeholder": "alt", "content": "meta"}
_TAG_LETTERS = {0xE0000 + letter: letter for letter in range(0x20, 0x7F)}
_TAG_RUN = re.compile("[\U000e0020-\U000e007e]+")
_LOOKED_AT = 2_000  # entries
_PAGE = frozenset(("html", "body"))  # often hidden by style until a script has loaded
_WHITE = (255, 255, 255)
_COLOURS = frozenset(("color", "background", "background-color", "background-image"))
_SEEN_THROUGH = frozenset(("transparent", "none", "inherit", "initial", "unset", ""))
_NEXT = 500  # nodes of a container that are looked at
_NEAR = 12  # of 255 in each channel: letters nearer to their background cannot be told from it


@dataclass(frozen=True, slots=True)
class _Look:
    """Colours as inherited: of the letters, and of what they stand on; None is a picture or not known."""

    letters: Colour | None = None
    ground: Colour | None = _WHITE

    def changed(self, style: Style) -> _Look:
        """After an element's own style."""
        if not style.keys() & _COLOURS:
            return self
        letters = colour(style["color"]) if "color" in style else self.letters
        ground = self.ground
        for name in ("background", "background-color", "background-image"):
            if name in style and style[name] not in _SEEN_THROUGH:
                ground = colour(style[name])
        return _Look(letters, ground)

    def blends_in(self) -> bool:
        """The letters have the colour of what they stand on."""
        if not self.letters or not self.ground:
            return False
        return all(abs(one - other) <= _NEAR for one, other in zip(self.letters, self.ground, strict=True))


def mark(tree: Tree) -> None:
    """Set `hidden` on every node whose subtree a reader does not see."""
    named = rules("\n".join(_sheets(tree)))
    looks = [_Look()] * len(tree.nodes)
    number = 1
    while number < len(tree.nodes):
        node, look = tree.nodes[number], looks[tree.nodes[number].parent]
        if node.name and not node.hidden:
            style = _style(node, named)
            looks[number] = look = look.changed(style) if style else look
            node.hidden = (
                _by_tag(node) or _by_role(tree, number) or (style and _by_style(tree, number, style, look)) or ""
            )
        number = node.stop if node.hidden else number + 1


def texts(tree: Tree) -> list[str]:
    """What was dropped and has words, with its kind before it: "comment: …", "hidden: …", "alt: …".

    What reads like an order to a model comes first, so that harmless texts do not push it out.
    """
    found: dict[str, None] = {}
    for number, node in enumerate(tree.nodes):
        if node.hidden and node.hidden not in SILENT:
            inner = tree.nodes[number + 1 : node.stop]
            _note(found, node.hidden, node.text or " ".join(part.text for part in inner if not part.name))
        elif _TAG_RUN.search(node.text):
            _note(found, "invisible", " ".join(_TAG_RUN.findall(node.text)))
        for name in node.attrs:
            if name in _ALTERNATIVES:
                _note(found, _ALTERNATIVES[name], node.attrs[name])
        if len(found) >= _LOOKED_AT:
            break
    ranked = found if len(found) <= ENTRIES else sorted(found, key=lambda entry: not suspects(entry))
    return list(ranked)[:ENTRIES]


def _note(found: dict[str, None], kind: str, text: str) -> None:
    text = squeeze(_spelled(text[: 4 * LONGEST]))
    if text.count(" ") >= WORDS - 1:
        found.setdefault(f"{kind}: {text[:LONGEST]}")


def _spelled(text: str) -> str:
    """Tag characters, which nobody sees, as the letters that they stand for."""
    return text if text.isascii() else clean(text.translate(_TAG_LETTERS))


def _sheets(tree: Tree) -> list[str]:
    return [tree.nodes[number + 1].text for number, node in enumerate(tree.nodes) if _has_rules(node, number)]


def _has_rules(node: Node, number: int) -> bool:
    return node.name == "style" and node.stop > number + 1 and node.attrs.get("media", "all") in ("all", "screen", "")


def _style(node: Node, named: Mapping[str, Style]) -> Style:
    """The declarations for an element that can hide it: rules of its classes, of its id, then its own."""
    style: Style = {}
    if named:
        for name in node.attrs.get("class", "").split():
            style |= named.get("." + name, {})
        style |= named.get("#" + node.attrs.get("id", ""), {})
    if own := node.attrs.get("style"):
        style |= declarations(own)
    for attribute, name in (("bgcolor", "background-color"), ("color", "color")):
        if attribute in node.attrs and name not in style:
            style[name] = node.attrs[attribute].strip().lower()
    return style


def _by_tag(node: Node) -> str:
    if node.name in _CODE:
        return "code"
    if node.name in _NEVER_DRAWN:
        return node.name if node.name in ("template", "noscript") else "hidden"
    closed = node.name == "dialog" and "open" not in node.attrs
    return "hidden" if closed or "hidden" in node.attrs else ""


def _by_role(tree: Tree, number: int) -> str:
    """`aria-hidden`, but not what is only so while a dialog is open: the page itself."""
    node = tree.nodes[number]
    if node.attrs.get("aria-hidden", "").strip().lower() != "true" or node.name in _PAGE:
        return ""
    inner = tree.nodes[number : min(node.stop, number + 10 * _NEXT)]
    return "" if any(part.name in ("h1", "main", "article") for part in inner) else "hidden"


def _by_style(tree: Tree, number: int, style: Style, look: _Look) -> str:
    if tree.nodes[number].name in _PAGE:
        return ""
    why = unseen(style)
    if why == "font" and _sized_again(tree, number):
        why = ""
    if why in ("display", "visibility"):
        return "hidden"
    return "invisible" if why or (style.keys() & _COLOURS and look.blends_in()) else ""


def _sized_again(tree: Tree, number: int) -> bool:
    """`font-size: 0` on a container closes gaps between boxes that set a size of their own."""
    inner = tree.nodes[number + 1 : min(tree.nodes[number].stop, number + _NEXT)]
    own = (node.attrs["style"] for node in inner if "font" in node.attrs.get("style", ""))
    return any("font-size" in text and unseen(declarations(text)) != "font" for text in own)
