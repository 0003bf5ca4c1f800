"""Taking the function words out of a question in a script that is indexed by character groups.

Closed classes only: question words, particles, copulas. In Japanese, hiragana carries the grammar and is left out
unless nothing else is there. What it does not know it leaves in; that costs coverage, not correctness.
"""

from __future__ import annotations

import re

_HANGUL = "[\uac00-\ud7af]"
_KOREAN = re.compile(
    "(?:언제|누가|누구|어디|무엇|무슨|어느|어떤|어떻게|얼마나|얼마|몇)|"
    f"(?<={_HANGUL}{_HANGUL})(?:에서|에게|으로|부터|까지|은|는|이|가|을|를|의|에|로|와|과|도)(?!{_HANGUL})|"
    f"(?:했|였|었|았)?(?:습니까|입니까|인가요|나요|는가|니까|까요)(?!{_HANGUL})"
)
_CHINESE = re.compile(
    "为什么|為什麼|什么时候|什麼時候|什么|什麼|怎么样|怎么|怎麼|多少|哪里|哪裡|哪个|哪個|哪些|[谁誰哪的是了吗嗎呢和与與在]"
)
_HIRAGANA = re.compile("[\u3041-\u309f]+")
_JAPANESE = re.compile("何|誰|どこ|いつ|なぜ|どの")
_THAI = re.compile("เมื่อไหร่|เมื่อไร|เมื่อใด|ใคร|อะไร|ที่ไหน|ทำไม|อย่างไร|เท่าไหร่|เท่าไร|กี่|หรือไม่|ของ|เป็น|คือ")
_WORDS = (
    "когда кто кого кому что чего где куда почему зачем как сколько какой какая какое какие каком чей был была было "
    "были есть это в на по из от до и с у о к за "
    "क्या कौन कब कहाँ कहां क्यों कैसे कितना कितने कितनी किस किसने किसका को का की के में से पर ने है हैं था थे थी गया गई "
    "من متى ما ماذا أين لماذا كيف كم هل في على إلى عن هو هي التي الذي"
)
_SPACED = frozenset(_WORDS.split())
_WORD = re.compile("[^\\s.,:;!?«»\"'()\u060c\u061b\u061f\u0964]+")


def content(text: str) -> str:
    """The question without its function words; the text as it was when nothing would be left."""
    short = _KOREAN.sub(" ", text)
    short = _HIRAGANA.sub(" ", _JAPANESE.sub(" ", short)) if _HIRAGANA.search(short) else _CHINESE.sub(" ", short)
    short = _THAI.sub(" ", short)
    short = _WORD.sub(lambda found: "" if found.group().lower() in _SPACED else found.group(), short)
    return short if any(map(str.isalnum, short)) else text
