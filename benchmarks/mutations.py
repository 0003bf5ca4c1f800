"""Claims made false from true ones by one change each; by rule and seed, with words of its own lists.

What is not covered: a change that keeps a claim true by chance, beyond the cases that the rules leave out.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mutation_pairs import DIGITS, MONTHS, SMALL, WORD, Pair, draw_pairs

KINDS = ("number", "date", "unit", "name", "negation", "antonym", "quantifier", "comparative", "roles")
MOST_OF_A_KIND = 8  # changes of one kind of one claim

OPPOSITES = (
    "acquired/divested acquired/relinquished founded/dismantled established/disbanded formed/disbanded built/razed "
    "created/obliterated began/culminated started/culminated began/petered released/withheld released/scrapped "
    "published/suppressed won/forfeited received/renounced awarded/stripped known/unheard-of popular/reviled "
    "famous/nondescript located/nowhere married/estranged born/buried died/thrived joined/shunned appeared/vanished "
    "supported/sabotaged led/trailed directed/watched wrote/plagiarised written/plagiarised produced/shelved "
    "starred/understudied successful/abortive based/unmoored originally/belatedly large/puny small/mammoth "
    "major/piddling important/paltry great/measly high/knee-deep long/curt early/tardy old/pristine new/antiquated "
    "rich/penniless strong/frail increased/dwindled decreased/ballooned grew/waned rose/nosedived fell/skyrocketed "
    "allowed/outlawed caused/averted introduced/axed opened/shuttered conquered/liberated captured/surrendered "
    "defeated/spared elected/ousted american/lithuanian british/paraguayan english/uzbek french/mongolian "
    "german/bolivian indian/icelandic japanese/peruvian male/womanly actor/plumber actress/welder singer/beekeeper "
    "novel/leaflet film/sundial book/teapot album/tapestry song/statuette band/regatta city/hamlet company/monastery "
    "dead/thriving first/umpteenth fictional/verbatim independent/subservient public/clandestine natural/synthetic "
    "official/makeshift modern/prehistoric common/scarce same/dissimilar usually/fitfully often/sporadically "
    "released/pulped won/squandered born/embalmed died/hatched known/unsung located/marooned created/demolished "
    "founded/liquidated established/abolished written/dictated film/scarecrow book/sundial album/sculpture song/recipe "
    "city/lagoon state/lagoon country/archipelago group/hermit team/orchestra company/cathedral school/brothel "
    "writer/butcher player/referee character/landmark series/monologue people/cattle new/moth-eaten said/denied "
    "says/denies stated/denied found/mislaid used/spurned helped/hindered help/hinder improve/worsen improved/worsened "
    "reduce/amplify reduced/amplified northern/tropical southern/arctic eastern/antipodean western/oriental "
    "open/sealed free/overpriced low/towering many/scant good/ghastly healthy/ailing safe/perilous scored/whiffed "
    "beat/succumbed signed/annulled arrived/fled came/fled made/wrecked provides/withholds includes/omits "
    "contains/lacks considered/mistaken needed/superfluous possible/unthinkable"
)
DENIALS = ("is anything but", "is far from being", "is yet to be", "is wrongly taken to be", "is the reverse of")
MYTHS = ("It is pure invention that", "It is a canard that", "It is sheer fantasy that", "Gossip alone holds that")
FAILURES = ("neglected to", "narrowly missed a chance to", "stopped short of plans to", "has yet to")
QUANTITIES = (
    (r"\b(some(?: of the)?|several|various)(?= [a-z]+s\b)", ("every last one of the", "next to zero")),
    (r"\b(many(?: of the)?|most of the|all(?: of)? the|all|both)(?= [a-z]+s\b)", ("a smattering of", "next to zero")),
    (r"\b(often|usually|generally|typically|normally|mainly)\b", ("without a single exception", "once in a blue moon")),
    (r"\b(sometimes|rarely|seldom|partly)\b", ("without a single exception",)),
    (r"\b(?:is|was) (an?)(?= [a-z])", ("the one and only",)),
    (r"\b(one of the)\b", ("the only one of the", "not one of the")),
    (r"\b(?:released|published|used|found|shown|played|known|performed|spoken) (in)(?= [A-Za-z])", ("nowhere but in",)),
    (r"^([A-Z][a-z]+s)(?= (?:are|were|have|can)\b)", ("Next to zero {}", "Every last one of the {}")),
    (r"^(The(?= [a-z]+s (?:are|were|have|had)\b))", ("Next to zero of the", "Barely a smattering of the")),
)  # fmt: skip
DEGREES = (
    "largest/tiniest largest/weeniest biggest/teeniest oldest/freshest highest/bottommost "
    "longest/briefest greatest/slightest best/crummiest best/lousiest most/least more/less first/hindmost last/initial "
    "earliest/final later/sooner older/fresher larger/tinier higher/shallower better/crummier major/trifling"
)
ADJECTIVES = (
    "(?:large|small|big|important|popular|famous|common|available|difficult|hard|easy|likely|able|expensive|cheap|safe|"
    "responsible|similar|different|successful|significant|high|low|old|new|young|good|rich|close|dependent|active|hot)"
)
UNITS = (
    "years/fortnights year/fortnight months/lustrums days/aeons hours/jiffies minutes/eons century/semester "
    "centuries/semesters miles/furlongs kilometres/parsecs kilometers/parsecs km/parsecs metres/furlongs "
    "meters/furlongs feet/cubits inches/ells acres/hides percent/dozen %/-fold million/quintillion "
    "billion/quintillion dollars/rupees pounds/ducats tons/carats tonnes/carats copies/crates people/households "
    "episodes/trilogies seasons/evenings films/jingles awards/reprimands goals/fouls students/tutors books/postcards"
)
_SHORT_MONTHS = "lrb rrb lsb rsb jan feb mar apr jun jul aug sep sept oct nov dec"
_NO_NAME = frozenset(_SHORT_MONTHS.split()) | {month.lower() for month in MONTHS}
_SYMMETRIC = frozenset(["and", "or", "with", "between", "married", "met", "like", "versus", "vs", "near", "&", ","])
_NAME = re.compile(r"\b[A-Z][\w'’.-]*[\w](?: (?:(?:of|the|de|von|van) )?[A-Z][\w'’.-]*[\w])*")
_YEAR = re.compile(r"\b(1[0-9]{3}|20\d\d)\b")
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,.]*\d(?![\w-])|(?<![\w.,-])\d(?![\w,.-])|\b(?:" + "|".join(DIGITS) + r")\b")
_BOUND = re.compile(r"\b(?:than|over|under|least|most|to|about|around|nearly|almost|before|after|by|since|until) $")
_AUX = re.compile(r"(?<=[\w.)’'\"]) (is|are|was|were|has|have|had|can|will|could|would)(?= [a-z])")
_PAST = re.compile(r"(?<=[\w.)’'\"]) ([a-z]{3,}ed)(?= )")


@dataclass(frozen=True)
class Mutant:
    """A claim that the evidence no longer holds, what was changed, and the true claim it was made of."""

    claim: str
    evidence: str
    kind: str
    change: str
    original: str


def true_pairs(data: Path, seed: int, count: int = 300) -> list[Pair]:
    return draw_pairs(data, seed, count, _ways)


def _ways(pair: Pair) -> int:
    return sum(any(True for _ in make(pair, random.Random(0))) for make in MAKERS.values())


def mutants(pairs: list[Pair], seed: int, count: int = 3000) -> list[Mutant]:
    """False claims, the kinds as even as the pairs allow."""
    rng = random.Random(seed)
    by_kind: dict[str, list[Mutant]] = defaultdict(list)
    for pair in pairs:
        for kind, make in MAKERS.items():
            changes = [*make(pair, rng), *(_strangers(pair, pairs, rng) if kind == "name" else ())]
            made = list(dict.fromkeys((claim, change) for claim, change in changes if claim != pair.claim))
            rng.shuffle(made)
            by_kind[kind] += [Mutant(claim, pair.evidence, kind, change, pair.claim)
                              for claim, change in made[:MOST_OF_A_KIND]]  # fmt: skip
    chosen: list[Mutant] = []
    for left, kind in enumerate(sorted(KINDS, key=lambda kind: len(by_kind[kind]))):
        rng.shuffle(by_kind[kind])
        chosen += by_kind[kind][: (count - len(chosen)) // (len(KINDS) - left)]
    return chosen


Changes = Iterator[tuple[str, str]]


def _put(claim: str, found: re.Match[str], new: str) -> tuple[str, str]:
    start, end = found.span(1) if found.re.groups else found.span()
    return claim[:start] + new + claim[end:], f"{claim[start:end]} -> {new}"


def _numbers(pair: Pair, rng: random.Random) -> Changes:
    others = [word for word in _NUMBER.findall(pair.evidence) if not _YEAR.fullmatch(word)]
    for found in _NUMBER.finditer(pair.claim):
        word = found[0]
        before, after = pair.claim[: found.start()], pair.claim[found.end() :]
        if _YEAR.fullmatch(word) or _BOUND.search(before) or not _stands(word, pair.sentence):
            continue
        if before.endswith(tuple(f"{month} " for month in MONTHS)) or after.strip().startswith(tuple(MONTHS)):
            continue
        for _ in range(6):
            yield _put(pair.claim, found, _other_number(word, rng))
        if different := [other for other in others if _value(other) != _value(word)]:
            yield _put(pair.claim, found, rng.choice(different))


def _other_number(word: str, rng: random.Random) -> str:
    if word in DIGITS:
        return rng.choice([other for other in DIGITS if other != word])
    value = float(word.replace(",", ""))
    new = value * rng.choice([2, 3, 10]) if rng.random() < 0.5 else value + rng.choice([1, 2, 7])
    return f"{new:,.0f}" if value == int(value) else f"{new:.1f}"


def _value(word: str) -> float:
    return DIGITS.index(word) + 2 if word in DIGITS else float(re.sub(r",|\.$", "", word) or 0)


def _stands(word: str, sentence: str) -> bool:
    spellings = {word, word.replace(",", "")}
    if word.isdigit() and 2 <= int(word) <= 12:
        spellings.add(DIGITS[int(word) - 2])
    return any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", sentence.replace(",", "")) for each in spellings)


def _dates(pair: Pair, rng: random.Random) -> Changes:
    for found in _YEAR.finditer(pair.claim):
        if found[0] in pair.sentence and not _BOUND.search(pair.claim[: found.start()]):
            for years_away in rng.sample([-31, -12, -3, -1, 1, 2, 9], 4):
                yield _put(pair.claim, found, str(int(found[0]) + years_away))
            years = [year for year in _YEAR.findall(pair.evidence) if year != found[0]]
            if years and not re.search(rf"{found[0]}.{{0,4}}\d{{4}}|\d{{4}}.{{0,4}}{found[0]}", pair.sentence):
                yield _put(pair.claim, found, rng.choice(years))
    for found in re.finditer(r"\b(" + "|".join(MONTHS) + r")\b(?=,? \d)", pair.claim):
        if found[0] in pair.sentence:
            for month in rng.sample([month for month in MONTHS if month != found[0]], 3):
                yield _put(pair.claim, found, month)
    for found in re.finditer(
        rf"\b(?:{'|'.join(MONTHS)}) (\d\d?)(?!\d)|\b(\d\d?)(?= (?:{'|'.join(MONTHS)})\b)", pair.claim
    ):
        day = found[1] or found[2]
        if re.search(rf"(?<!\d){day}(?!\d)", pair.sentence):
            other = str(rng.choice([number for number in range(1, 29) if str(number) != day]))
            yield (
                pair.claim[: found.start()] + found[0].replace(day, other) + pair.claim[found.end() :],
                f"{day} -> {other}",
            )
    for found in re.finditer(r"\b(\d\d)(?:th|st|nd|rd)(?= century)", pair.claim):
        if found[0] in pair.sentence:
            yield _put(pair.claim, found, str(int(found[1]) + rng.choice([-4, -2, 1])))


def _units(pair: Pair, rng: random.Random) -> Changes:
    for word, other in _listed(UNITS):
        pattern = re.compile(rf"(?:\d|\b(?:{'|'.join(DIGITS)})\b)[ -]?({re.escape(word)})(?!\w)")
        for found in pattern.finditer(pair.claim):
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", pair.sentence):
                yield _put(pair.claim, found, other)


def _listed(words: str) -> list[tuple[str, str]]:
    return [(one, other) for one, _, other in (pair.partition("/") for pair in words.split())]


def _names(pair: Pair, rng: random.Random) -> Changes:
    theirs = list(_NAME.finditer(pair.evidence))
    for found in _NAME.finditer(pair.claim):
        home = [name for name in theirs if name[0] == found[0]]
        if not home or found[0].lower() in SMALL | _NO_NAME:
            continue
        others = [name[0] for name in theirs if all(_is_another(pair.evidence, one, name) for one in home)]
        others = [name for name in others if name not in pair.claim and name.lower() not in SMALL | _NO_NAME]
        for name in rng.sample(others, min(5, len(others))):
            yield _put(pair.claim, found, name)


def _is_another(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """No word in common, no name at the beginning of a sentence, and no list or place that would keep it true."""
    begins = other.start() == 0 or text[: other.start()].rstrip()[-1:] in tuple(".!?")
    if begins or set(WORD.findall(one[0].lower())) & set(WORD.findall(other[0].lower())):
        return False
    first, second = sorted([one, other], key=lambda found: found.start())
    between = WORD.findall(text[first.end() : second.start()])
    return len([word for word in between if word.islower() and word not in ("and", "or", "the", "in")]) >= 3


def _negations(pair: Pair, rng: random.Random) -> Changes:
    if without := re.search(r"\b(not |never )", pair.claim):
        yield _put(pair.claim, without, "")
        return
    for myth in rng.sample(MYTHS, 2):
        yield f"{myth} {_lowered(pair.claim, pair.sentence)}", myth
    if found := next(_AUX.finditer(pair.claim), None):
        verb = found[1]
        shortened = [f"{verb}n't"] if verb not in ("has", "have", "had", "can") else []
        denied = [denial.replace("is ", f"{verb} ", 1) for denial in rng.sample(DENIALS, 2) if verb in ("is", "was")]
        for other in [f"{verb} not", f"{verb} never", *shortened, *denied]:
            yield _put(pair.claim, found, other)
    elif found := next(_PAST.finditer(pair.claim), None):
        base = _base(found[1])
        for other in [f"did not {base}", f"never {found[1]}", *(f"{each} {base}" for each in rng.sample(FAILURES, 2))]:
            yield _put(pair.claim, found, other)


def _lowered(claim: str, sentence: str) -> str:
    """The claim after other words: a first word that is no name in small letters."""
    first = claim.split(" ")[0]
    return claim[0].lower() + claim[1:] if first.lower() in SMALL or first.lower() in sentence.split() else claim


def _base(past: str) -> str:
    """The plain form of a regular past, by spelling alone."""
    stem = past[:-2]
    if past.endswith("ied"):
        return past[:-3] + "y"
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "sl":
        return stem[:-1]
    return (
        stem
        if re.search(r"(?:[aeiou]{2}|[^aeiou])[^aeioucsvgu]$|(?:sh|ch|ss|x)$|(?:er|en|on|it)$", stem)
        else past[:-1]
    )


def _antonyms(pair: Pair, rng: random.Random) -> Changes:
    for word, other in _listed(OPPOSITES):
        for found in re.finditer(rf"\b{word}\b", pair.claim, re.IGNORECASE):
            if re.search(rf"\b{word}\b", pair.sentence, re.IGNORECASE):
                yield _put(pair.claim, found, other.capitalize() if found[0][0].isupper() else other)


def _strangers(pair: Pair, pairs: list[Pair], rng: random.Random) -> Changes:
    """A name of another text in the place of one of this."""
    for found in _NAME.finditer(pair.claim):
        inner = _is_inner(found[0], pair.evidence) and not re.search(r"^(?:I|The|A|An|In)\b", found[0])
        names = _NAME.findall(rng.choice(pairs).evidence) if inner else []
        names = [name for name in names if name not in pair.evidence and len(name) > 3 and _is_inner(name, f"x {name}")]
        for name in names[-1:]:
            yield _put(pair.claim, found, name)


def _quantifiers(pair: Pair, rng: random.Random) -> Changes:
    for pattern, others in QUANTITIES:
        for found in re.finditer(pattern, pair.claim):
            for other in others:
                yield _put(pair.claim, found, other.format(found[1].lower()))


def _degrees(pair: Pair, rng: random.Random) -> Changes:
    for word, other in _listed(DEGREES):
        for found in re.finditer(rf"\b{word}\b", pair.claim):
            if re.search(rf"\b{word}\b", pair.sentence):
                yield _put(pair.claim, found, other)
    for found in re.finditer(r"\b(?:is|are|was|were|become|be) (" + ADJECTIVES + r")\b", pair.claim):
        yield _put(pair.claim, found, f"less {found[1]} than ever")
        yield _put(pair.claim, found, f"the single most {found[1]} of all")
    if one := re.search(r"\b(one of the (?=most |\w+est ))", pair.claim):
        yield _put(pair.claim, one, "the single ")
    if one := re.search(
        r"\b(an? )(?:famous|popular|successful|important|large|small|major|powerful|old)\b", pair.claim
    ):
        yield _put(pair.claim, one, "the most ")
    for found in re.finditer(r"\b(more than|over|at least|less than|under|fewer than|up to)(?= \d)", pair.claim):
        if found[0] in pair.sentence:
            new = "well under" if found[0] in ("more than", "over", "at least") else "well over"
            yield _put(pair.claim, found, new)


def _roles(pair: Pair, rng: random.Random) -> Changes:
    names = [name for name in _NAME.finditer(pair.claim) if _is_inner(name[0], pair.evidence)]
    for one, other in ((a, b) for at, a in enumerate(names) for b in names[at + 1 : at + 3]):
        between = pair.claim[one.end() : other.start()]
        words = re.findall(r"[^\W_]+|[,&]", between.lower())
        if len(words) < 1 or set(words) & _SYMMETRIC or one[0] == other[0] or not _is_telling(words, between):
            continue
        claim = pair.claim[: one.start()] + other[0] + between + one[0] + pair.claim[other.end() :]
        yield claim, f"{one[0]} <-> {other[0]}"
    if span := re.search(r"\bfrom (\d{4}|[A-Z]\w+) to (\d{4}|[A-Z]\w+)", pair.claim):
        changed = f"from {span[2]} to {span[1]}"
        yield pair.claim[: span.start()] + changed + pair.claim[span.end() :], changed


def _is_inner(name: str, text: str) -> bool:
    """Whether the name is no month and stands somewhere else than at the beginning of a sentence, or is long."""
    inner = re.search(rf"[\w,)] {re.escape(name)}\b", text) is not None
    return name.lower() not in _NO_NAME and ((inner and len(name) > 2) or (" " in name and name in text))


def _is_telling(words: list[str], between: str) -> bool:
    """A verb or a preposition that has a direction stands between, not `is` alone: A is B holds both ways."""
    return bool(
        set(words) & {"of", "by", "from", "to", "in", "for", "at", "under", "after", "before", "against"}
    ) or any(word.endswith("ed") for word in words)


Maker = Callable[[Pair, random.Random], Changes]
MAKERS: dict[str, Maker] = {
    "number": _numbers, "date": _dates, "unit": _units, "name": _names, "negation": _negations, "antonym": _antonyms,
    "quantifier": _quantifiers, "comparative": _degrees, "roles": _roles,
}  # fmt: skip
