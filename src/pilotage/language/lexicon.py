"""Which words can mean the same: groups of WordNet 3.0 (made by scripts/lexicon.py) and two lists of our own.

synonyms.txt has words, phrases.txt has what people say in several words. A word is looked up by its base form. What
is not covered: which of its meanings a word has in a sentence; names that WordNet does not know; other languages.
"""

from __future__ import annotations

import gc
import gzip
from collections import defaultdict
from functools import cache, lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent
FAR = 99  # the rank of a meaning that two words do not share
_IRREGULAR_DEGREES = {
    "better": "more", "worse": "more", "further": "more", "farther": "more", "elder": "more", "later": "more",
    "lower": "more", "best": "most", "worst": "most", "furthest": "most", "farthest": "most", "eldest": "most",
    "latest": "most", "lowest": "most",
}  # fmt: skip
_ENDINGS = {
    "n": (("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("ies", "y"), ("s", "")),
    "v": (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", "e"), ("ed", ""), ("ing", "e"),
          ("ing", "")),
    "a": (("ier", "y"), ("iest", "y"), ("er", "e"), ("est", "e"), ("er", ""), ("est", "")),
}  # fmt: skip


CLASSES = {
    "04": "act", "05": "animal", "06": "artifact", "07": "attribute", "08": "body", "09": "cognition",
    "10": "communication", "11": "event", "12": "feeling", "13": "food", "14": "group", "15": "location",
    "16": "motive", "17": "object", "18": "person", "19": "phenomenon", "20": "plant", "21": "possession",
    "22": "process", "23": "quantity", "24": "relation", "25": "shape", "26": "state", "27": "substance",
    "28": "time",
}  # fmt: skip
"""WordNet's files of nouns."""
DETERMINERS = frozenset({"a", "an", "the", "my", "your", "our", "his", "her", "their", "its", "one's"})
"""What may stand inside a phrase and is not looked at: hand in my notice."""


class Lexicon:
    """Groups, roots, opposites and base forms, read once."""

    def __init__(self, text: str, own: str, phrases: str = "") -> None:
        self._groups: dict[str, dict[int, int]] = defaultdict(dict)  # word -> number of a group -> rank
        self._verbs: set[int] = set()  # groups of verbs
        self._roots: dict[str, set[str]] = defaultdict(set)
        self._parts: dict[str, set[str]] = defaultdict(set)
        self._opposites: set[tuple[str, str]] = set()
        self._measures: dict[str, set[str]] = {}
        self._irregular: dict[str, set[str]] = defaultdict(set)
        self._participles: set[str] = set()
        self._names: dict[str, frozenset[str]] = {}
        self._plurals: frozenset[str] = frozenset()
        self._classes: dict[str, str] = {}
        self.own: dict[str, set[int]] = defaultdict(set)  # word or phrase -> numbers of our groups
        self._read(text)
        lines = own.splitlines()
        for number, line in enumerate(lines + phrases.splitlines()):
            for entry in line.partition("#")[0].split(","):
                if phrase := _in_tokens(entry):
                    self.own[phrase].add(number)
        self.short = len(lines)  # groups from this number on are those of phrases.txt
        self.longest = max((phrase.count(" ") + 1 for phrase in self.own), default=1)

    def _read(self, text: str) -> None:
        readers = {
            "groups": self._read_group, "roots": self._read_root, "opposites": self._read_opposite,
            "measures": self._read_measure, "irregular": self._read_irregular,
            "others": self._read_others, "names": self._read_names, "plurals": self._read_plurals,
            "classes": self._read_classes,
        }  # fmt: skip
        reader = self._read_group
        for number, line in enumerate(text.splitlines()):
            if line.startswith("# "):
                reader = readers[line[2:]]
            else:
                reader(number, line.split(" "))

    def _read_group(self, number: int, fields: list[str]) -> None:
        if fields[0] == "v":
            self._verbs.add(number)
        for field in fields[1:]:
            digit = field[-1].isdigit()
            word = (field[:-1] if digit else field).lower().replace("_", " ")
            self._groups[word][number] = int(field[-1]) if digit else 1
            self._parts[word].add(fields[0])

    def _read_root(self, number: int, fields: list[str]) -> None:
        part, here, other, there = fields
        self._roots[here].add(there)
        self._roots[there].add(here)
        self._parts[here].add(part)
        self._parts[there].add(other)

    def _read_opposite(self, number: int, fields: list[str]) -> None:
        self._opposites.add((fields[0], fields[-1]))

    def _read_measure(self, number: int, fields: list[str]) -> None:
        self._measures.setdefault(fields[0], set()).update(field.replace("_", " ") for field in fields[1:])

    def _read_irregular(self, number: int, fields: list[str]) -> None:
        part, form, base = fields
        self._irregular[form].add(base)
        self._parts[base].add(part)
        if part == "v" and not form.endswith("ing"):
            self._participles.add(form)

    def _read_others(self, number: int, fields: list[str]) -> None:
        for word in fields[1:]:
            self._parts[word].add(fields[0])

    def _read_names(self, number: int, fields: list[str]) -> None:
        self._names[fields[0]] = frozenset(fields[1:])

    def _read_plurals(self, number: int, fields: list[str]) -> None:
        self._plurals = frozenset(fields)

    def _read_classes(self, number: int, fields: list[str]) -> None:
        self._classes.update(dict.fromkeys(fields[1:], fields[0]))

    def noun_class(self, word: str) -> str:
        """What the noun is in its most usual meaning, a name of CLASSES; "" where it is rare or none.

        >>> lexicon().noun_class("driver"), lexicon().noun_class("siege")
        ('person', 'act')
        """
        return CLASSES.get(self._classes.get(word, ""), "")

    def is_common(self, word: str) -> bool:
        """Whether lower case makes a noun, verb or adjective of it: polish, china; not germany, nor an unknown word."""
        return any(self.knows(base) and base not in self._names["only"] for base in self.bases(word))

    def is_mostly_name(self, word: str) -> bool:
        return word in self._names["first"]

    def is_own_plural(self, word: str) -> bool:
        """Whether a plural has a meaning that its singular has not: arms, contents."""
        return word in self._plurals

    def knows(self, word: str, part: str = "") -> bool:
        return part in self._parts.get(word, ()) if part else word in self._parts

    def is_participle(self, word: str) -> bool:
        """Whether the form can be a past or a participle: closed, written."""
        return word in self._participles or (word.endswith("ed") and any(self.knows(b, "v") for b in self.bases(word)))

    def bases(self, word: str) -> frozenset[str]:
        """The base forms that the word can have, itself among them where it is one.

        >>> sorted(lexicon().bases("cities"))
        ['city']
        """
        return _bases(self, word)

    def find_bases(self, word: str) -> frozenset[str]:
        if word in self._irregular:
            return frozenset(self._irregular[word] | ({word} if word in self._groups else set()))
        found = {word} if word in self._parts else set()
        if found and not word.endswith(("s", "ed", "ing")):
            return frozenset(found)
        for part, endings in _ENDINGS.items():
            if part != "a":
                found |= self._stripped(word, part, endings)
        return frozenset(found or self._compared(word) or {_singular(word)})

    def _stripped(self, word: str, part: str, endings: tuple[tuple[str, str], ...]) -> set[str]:
        for ending, instead in endings:
            base = word[: -len(ending)] + instead
            if word.endswith(ending) and len(base) > 1 and not word.endswith("ss"):
                if self.knows(base, part):
                    return {base}
                if not instead and len(base) > 3 and base[-1] == base[-2] and self.knows(base[:-1], part):
                    return {base[:-1]}
        return set()

    def _compared(self, word: str) -> set[str]:
        return self._stripped(word, "a", _ENDINGS["a"])

    def degree(self, word: str) -> str:
        """`more` for warmer, `most` for warmest, "" otherwise."""
        if word in _IRREGULAR_DEGREES:
            return _IRREGULAR_DEGREES[word]
        if not word.endswith(("er", "est")) or self.knows(word, "n") or self.knows(word, "v"):
            return ""
        return ("most" if word.endswith("est") else "more") if self._compared(word) else ""

    def rank(self, one: str, other: str, verbs: bool = False) -> tuple[int, int]:
        """How usual the meaning is that both words share, for each of them; FAR when they share none."""
        mine, theirs = self._groups.get(one, {}), self._groups.get(other, {})
        both = mine.keys() & theirs.keys()
        shared = [(mine[number], theirs[number]) for number in (both & self._verbs if verbs else both)]
        return min(shared, key=sum, default=(FAR, FAR))

    def synonyms(self, word: str, rarest: int) -> frozenset[str]:
        return _synonyms(self, word, rarest)

    def is_root(self, one: str, other: str) -> bool:
        return other in self._roots.get(one, ())

    def is_opposite(self, one: str, other: str) -> bool:
        return (one, other) in self._opposites or (other, one) in self._opposites

    def measures(self, word: str) -> set[str]:
        return self._measures.get(word, set())

    def has_phrase(self, phrase: str) -> bool:
        return phrase in self._groups

    def members(self) -> dict[int, list[tuple[str, int]]]:
        found: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for word, groups in self._groups.items():
            for number, rank in groups.items():
                found[number].append((word, rank))
        return found


def _in_tokens(entry: str) -> str:
    """A phrase of our lists as a question's tokens have it: no hyphens, no determiners, `'s` by itself.

    >>> _in_tokens(" take a doctor's check-up ")
    "take doctor 's check up"
    """
    words = entry.replace("-", " ").replace("'s", " 's").split()
    return " ".join(word for word in words if word not in DETERMINERS or len(words) == 1)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


@lru_cache(maxsize=8192)
def _bases(lexicon: Lexicon, word: str) -> frozenset[str]:
    return lexicon.find_bases(word)


@cache
def _members(lexicon: Lexicon) -> dict[int, list[tuple[str, int]]]:
    return lexicon.members()


@lru_cache(maxsize=4096)
def _synonyms(lexicon: Lexicon, word: str, rarest: int) -> frozenset[str]:
    members = _members(lexicon)
    numbers = [number for number, rank in lexicon._groups.get(word, {}).items() if rank <= rarest]
    return frozenset(other for number in numbers for other, rank in members[number] if rank <= rarest) - {word}


@cache
def lexicon() -> Lexicon:
    text = gzip.decompress((_FOLDER / "lexicon.txt.gz").read_bytes()).decode()
    own, phrases = ((_FOLDER / name).read_text("utf-8") for name in ("synonyms.txt", "phrases.txt"))
    made = Lexicon(text, own, phrases)
    gc.freeze()  # it stays: the collector need not walk its hundred thousand sets again and again
    return made
