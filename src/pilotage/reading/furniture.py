"""What surrounds the main text of a page: menus, teasers, comments, sharing, notices, captions, by name and by form.

The words of an element's class and id decide, in the vocabulary that content systems share; nothing is made for a
particular site. Not covered: furniture whose names say nothing, and names in other languages than English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pilotage.reading.html import Piece
from pilotage.reading.tree import BLOCKS, Node, Tree, names

SHARE = 0.35  # furniture that holds more of the page's prose than this is no furniture
USUAL = 0.5  # a name that so much of the page's prose bears says nothing
LEFT = 60.0  # words of prose that must remain when teasers are taken out

_TAGS = names("nav footer aside header form button select textarea menu search figcaption")
_CORE = names("html body main article")
_ALWAYS = names("comment comments disqus")
_VOCABULARY = names(
    # talk and company
    "comment comments disqus respond replies share sharing sharebar social follow followus newsletter signup subscribe "
    "subscription subscriptions login register paywall "
    # other pages
    "related relatedposts recommended recommendation recommendations recirc recirculation trending popular teaser "
    "teasers promo promos promotion sidebar rail breadcrumb breadcrumbs nav navigation navbar navbox menu "
    "pagination pager next prev previous readmore tag tags tagbox taglist topics keywords categories outbrain "
    "taboola zergnet "
    # the page itself
    "ad ads advert advertisement advertising sponsor sponsored cookie cookies consent gdpr popup modal overlay tooltip "
    "widget toolbar banner footer copyright disclaimer print printonly "
    # about the text
    "byline dek deck standfirst subtitle subhead subheading author authors bio dateline timestamp caption captions "
    "credit credits attribution gallery slideshow shorturl"
)
_QUOTED = names("embed tweet quote blockquote")
_MARKS = names("headerlink mw-editsection")  # inside headings: a pilcrow, an edit link
_UNSEEN = names("sr-only visually-hidden visuallyhidden screen-reader-text d-none hide-text print-only")
_FLOWING = names("p li td th dd dt a span em strong b i blockquote pre code h1 h2 h3 h4 h5 h6")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LINK = 0.8  # a piece with a larger share of linked characters is a link


def furniture(tree: Tree, found: list[Piece], prose: Sequence[float]) -> set[int]:
    """Elements to leave out; `prose` is the sum of running words in each element."""
    guarded = _guarded(tree)
    named = dict[int, set[str]]()
    for number in tree.visible():
        node = tree.nodes[number]
        if node.name and node.name not in _CORE and (number not in guarded or node.name == "header"):
            named[number] = _names(tree, node)
    usual = _usual(tree, named, prose)
    dropped = {number for number, words in named.items() if words - usual and prose[number] <= SHARE * prose[0]}
    dropped |= {number for number, words in named.items() if words & _ALWAYS}
    teasers = _teasers(tree, found, guarded, dropped)
    left = prose[0] - sum(prose[number] for number in _outermost(tree, dropped | teasers))
    return dropped | teasers if left >= LEFT else dropped


def is_link(piece: Piece) -> bool:
    """The piece is a link and hardly anything else."""
    return piece.linked > _LINK * len(piece.text)


def _names(tree: Tree, node: Node) -> set[str]:
    """Why an element may be furniture: its tag, words of its class and id. Within a sentence names do not count."""
    found = {node.name} & _TAGS
    text = f"{node.attrs.get('class', '')} {node.attrs.get('id', '')}"
    if text == " ":
        return found
    found |= set(text.split()) & (_UNSEEN | _MARKS)
    if node.name not in BLOCKS and tree.nodes[node.parent].name in _FLOWING:
        return found
    words = {word.lower() for word in _WORD.findall(text)}
    return found if words & _QUOTED else found | words & _VOCABULARY


def _usual(tree: Tree, named: Mapping[int, set[str]], prose: Sequence[float]) -> set[str]:
    """Names that most of the page's prose bears: those of a page builder, which tell nothing."""
    sums, stops = dict[str, float](), dict[str, int]()
    for number, words in named.items():
        for name in words:
            if number >= stops.get(name, 0):  # not inside another of that name
                sums[name] = sums.get(name, 0.0) + prose[number]
                stops[name] = tree.nodes[number].stop
    return {name for name, words in sums.items() if words > USUAL * prose[0]}


def _guarded(tree: Tree) -> set[int]:
    """Headlines, what is marked up as the article's body, and their ancestors."""
    found = set[int]()
    for number in tree.visible():
        node = tree.nodes[number]
        if node.name == "h1" or "articlebody" in node.attrs.get("itemprop", "").lower():
            while number and number not in found:
                found.add(number)
                number = tree.nodes[number].parent
    return found


def _teasers(tree: Tree, found: list[Piece], guarded: set[int], dropped: set[int]) -> set[int]:
    """List items and articles whose heading is a link, and articles beside the one that has the headline."""
    card = [0] * len(tree.nodes)  # the item or article that a node stands in
    for number, node in enumerate(tree.nodes):
        card[number] = number if node.name in ("li", "article") else card[node.parent]
    cards = {card[piece.owner] for piece in found if piece.level and is_link(piece)}
    articles = {number for number in tree.visible() if tree.nodes[number].name == "article"}
    if articles & guarded:
        cards |= articles
    return cards - guarded - dropped - {0}


def _outermost(tree: Tree, numbers: set[int]) -> list[int]:
    found, stop = list[int](), 0
    for number in sorted(numbers):
        if number >= stop:
            found.append(number)
            stop = tree.nodes[number].stop
    return found
