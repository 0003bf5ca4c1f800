"""Stretches that read like orders to a model: overriding, posing as the system, calling tools, carrying data away.

They are written to the journal. A model that reads decides by itself; what only copies, the built-in reader and the
quotes of a local model, leaves them out (evidence/choose.py). Words are matched in lower case with single spaces, verbs
only where they command ("ignore the rules", not "they ignore the rules"). Each pattern looks a bounded number of words
ahead. What is not covered: paraphrases, misspellings, most languages; and an article that quotes an attack word for
word is noted too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST_EXCERPT = 200
BEFORE = 40  # characters of an excerpt before what was found
MOST = 10

_S = r"[^\w.!?]{1,9}+"  # between two words of one sentence
_W = r"(?:[\w'’]{1,40}+[^\w.!?]{1,9}+)"  # a word with what follows it; {_W}{0,3}? skips up to three
_AI = (
    r"(?:ai|llm|large language model|language model|chatbot|gpt|chatgpt|claude|gemini|copilot)s?"
    r"(?: (?:agent|assistant|model|system|bot|crawler|reader)s?)?"
)
_EARLIER = (
    r"(?:previous|prior|preceding|above|earlier|all|any|your|the|these|those|every|original|initial|existing|past)\b"
)
_RULES = (
    r"(?:instruct|prompt|rules?\b|messages?\b|direct(?:ion|ive)s?\b|guidelines?\b|guidance|polic|commands?\b|constraint"
    r"|restriction|programming|training|safeguard|safety|context\b|conversation\b)"
)
_HIDDEN = r"(?:system|hidden|initial|developer|secret|original) (?:prompt|instructions?|messages?|rules)"
_OWN = r"(?:prompt|instructions|rules|guidelines|configuration|api keys?|secrets?|credentials|passwords?)"
_PRIVATE = (
    r"(?:conversation|chat (?:history|logs?)|system prompt|api[ _-]?keys?|passwords?|secrets?|credentials?|ssh keys?"
    r"|private keys?|\.env|environment variables|(?:access|session) tokens?|(?:user|personal) data|files|documents)"
)
_PLACE = (
    r"(?:https?\b|[\w+-]{1,40}@|this (?:url|address|e-?mail|endpoint|server|site)|(?:the|an?) attacker"
    r"|the following (?:url|address|e-?mail|endpoint|link|site|server))"
)
_TOOL = r"(?:search_knowledge|read_source|read_page|query_db|search_web|run_python|check_data)"
_FREE = r"(?:ai|dan|unrestricted|unfiltered|uncensored|jailbroken|evil|root|sudo|language model|no restrictions)"
_ROLE = rf"(?:{_FREE}|assistant|chatbot|bot|restrictions?|rules|bound|hacker|agent|pirate)"
_MODE = r"(?:developer|debug|god|admin|dan|jailbreak|unrestricted|maintenance) mode"

_COMMANDS = [  # begin with a verb, which must command; (?>…) takes the first that fits and does not look again
    rf"(?>(?:ignore|disregard|forget|override|bypass|neglect"
    rf"|discard){_S}{_W}{{0,2}}?{_EARLIER}){_S}{_W}{{0,3}}?{_RULES}",
    rf"(?:ignore|disregard|forget){_S}(?:everything|anything|whatever|what|all){_S}{_W}{{0,4}}?"
    r"(?:above|before|previously|so far|told|said|earlier|until now)\b",
    r"(?>(?:reveal|leak|disclose|divulge|print|output|repeat|show|display|recite|dump|echo|quote|translate|encode"
    rf"|tell (?:me|us)|give (?:me|us)){_S}{_W}{{0,3}}?(?:your|the|its){_S}){_W}{{0,2}}?{_HIDDEN}\b",
    rf"(?>(?:reveal|leak|disclose|divulge|repeat|recite|dump|output){_S}{_W}{{0,2}}?your{_S}){_W}{{0,2}}?{_OWN}\b",
    rf"(?:repeat|print|output|copy|recite){_S}(?:the |all )?(?:words|text|everything|instructions|lines) above\b",
    r"(?>(?:send|post|forward|e-?mail|upload|exfiltrate|leak|transmit|submit|append|copy|deliver|report)"
    rf"{_S}{_W}{{0,5}}?{_PRIVATE}\b{_S})(?>{_W}{{0,6}}?to{_S}){_W}{{0,2}}?{_PLACE}",
    r"(?>(?:append|attach|add|encode|insert|put|include)"
    rf"{_S}{_W}{{0,3}}?(?:conversation|chat history|system prompt|user'?s (?:question|message|data|name"
    rf"|e-?mail))\b{_S})"
    rf"(?>{_W}{{0,3}}?(?:to|as|in|into){_S}){_W}{{0,3}}?(?:url|link|query string|parameter|image|request)\b",
    rf"(?:call|invoke|use|run|execute|open|query){_S}{_W}{{0,2}}?{_TOOL}\b",
    r"(?:call|invoke|use|run|execute) (?:the )?(?:tool |function )?[\"'`“]?\w{2,40}+[\"'`”]?(?: tool| function)? with"
    r"(?: the)?(?: arguments?| parameters?| input)?:? ?[{(\[\"“]",
    rf"(?>(?:call|invoke|use|run|execute){_S}{_W}{{0,4}}?(?:tools?|functions?|commands?|shell|terminal|browser){_S})"
    rf"{_W}{{0,4}}?(?:immediately|at once|silently|secretly|without (?:asking|telling|confirm|permission|notif)"
    r"|before (?:you )?(?:answer|respond|reply|continu))",
    rf"(?:call|invoke|use){_S}(?:any of )?your {_W}{{0,2}}?(?:tools?|functions?|shell|browser|e-?mail"
    rf"|access) {_W}{{0,2}}?to\b",
    rf"(?:act|behave|respond|roleplay|pretend|speak|answer) (?:as|like|to be|you are"
    rf"|that you are) {_W}{{0,4}}?{_FREE}\b",
    rf"(?:enter|enable|activate|switch (?:to|into)) {_W}{{0,2}}?{_MODE}\b",
    rf"(?:give|write|provide|assign) {_W}{{0,3}}?(?:positive|favou?rable|five-star) (?:review|rating"
    rf"|assessment)s? only\b",
    r"(?:respond|reply|answer|output|say) (?:only|just|exactly|nothing but)(?: with| by)? "
    r"(?:the (?:word|text|phrase|sentence|string)\b|[\"“])",
    rf"(?>(?:delete|wipe|erase|remove) all {_W}{{0,2}}?(?:files|data|records|tables|backups|e-?mails) ){_W}{{0,4}}?"
    r"(?:immediately|now|without (?:asking|telling|confirm)|silently)\b",
]
_ORDERS = [  # anywhere
    r"(?:new|updated|real|actual|true|hidden|secret|override|revised|admin|urgent) (?:system )?"
    rf"(?:instructions?|directives?|prompts?)(?: (?:for|to) (?:all |the |any )?{_AI})? ?:",
    r"your (?:real|actual|new|true|only|updated) (?:task|goal|objective|mission|purpose|job)(?: now)?(?: is\b| ?:)",
    rf"you are now (?:{_FREE}\b|(?:an?|the|my|called|named|known as|free|no longer) {_W}{{0,4}}?{_ROLE}\b"
    rf"|in {_MODE}\b)",
    r"from now on,? (?:obey|ignore|respond|answer|act|reply)\b",
    r"from now on,? you (?:are (?:an?|my|no longer|called)|must|shall|obey|act|only|will (?:obey|act|respond"
    r"|ignore|follow))\b",
    rf"if you(?:'re|’re| are) (?:an? |the )?{_AI}"
    r"(?: (?:reading|processing|summari|parsing|crawling|visiting|looking)|,| and\b| then\b|:)",
    r"(?:note|attention|message|notice|instructions?|reminder|warning|important|information|memo"
    r"|hint)[,:]? ?(?:to|for) "
    rf"(?:all |any |the |every )?{_AI} ?(?:[:,!–—]|reading|processing|summari|that\b|who\b)",
    rf"(?:dear|hello|hey|hi|attention),? (?:all |any |every )?{_AI} ?[:,!–—.]",
    rf"{_AI} (?:that (?:is|are) )?(?:reading|processing|summari[sz]ing|parsing) (?:this|these)\b",
    rf"to (?:all |any |every )?(?:{_AI}|(?:assistant|agent|crawler)s?) (?:that |who )?(?:read|process|summari"
    rf"|pars|crawl)",
    rf"(?:do not|don't|don’t|never|must not|without|avoid) {_W}?(?:tell|inform|mention|alert|warn|notif)\w{{0,4}}+ "
    r"(?:this |it |that )?(?:to )?(?:the|your|any) (?:user|human|operator)s?"
    r"(?: (?:about|of) (?:this|it|these|what)\b| (?:that )?you\b|[.,;!]| ?$)",
    r"(?:do not|don't|don’t|never|must not) (?:tell|mention|disclose|reveal) (?:this|these|it) to (?:the |any)?"
    r"(?:users?|humans?|one|body)\b",
    r"(?:do not|don't|don’t|never|must not) (?:mention|disclose|reveal|quote|cite) (?:this|these) "
    r"(?:lines?|notes?|sentences?|paragraphs?|instructions?|comments?|messages?|remarks?|hints?)\b",
    rf"(?>(?:whoever|anyone|anybody|everyone|everybody|users|people|those) (?:who |that )?asks?\b{_S})"
    rf"{_W}{{0,10}}?(?:is|are) to be told\b",
    rf"(?:your|previous|prior|above) {_W}{{0,2}}?(?:instructions|prompt|guidelines|rules) (?:are|is|have been"
    rf"|has been|were)"
    r" (?:now )?(?:void|cancell?ed|revoked|lifted|suspended|disabled|superseded|overridden|replaced)\b",
    r"(?:i am|i'm|this is) (?:your|the) (?:developer|creator|administrator|admin|operator|programmer)"
    r"(?: speaking|[,.:;!]| and (?:i|you)\b)",
    r"you (?:must|have to|are required to|shall|will) (?:now |always |immediately |only )?"
    r"(?:obey|comply with (?:my|these|this)|execute (?:the|this|these|my)|(?:respond|reply|answer) only)\b",
]
_FORMS = [  # of chats and of tool calls; \n begins a line
    r"\n[>*#\[(<\"'-]{0,4}+ ?(?:system|assistant|developer)(?: (?:prompt|message|note|override|instruction|alert))?"
    r"[\])>*]{0,3}+ ?:[* ]{0,3}+\n?(?:you\b|your\b|ignore|disregard|forget|override|from now|important|always"
    r"|never|please|whoever|anyone|everyone|if (?:you|someone|anyone|the user|a user)\b"
    r"|when(?:ever)? (?:you|someone|asked)\b"
    r"|do not|don't|sure\b|call\b|use\b|run\b|execute|invoke|send\b|reveal|print|fetch|act\b|respond|answer\b)",
    r"<\|(?:im_start|im_end|im_sep|endoftext|system|user|assistant|start_header_id|end_header_id|eot_id|tool_call)\|>",
    r"\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>",
    r"</?(?:system|system_prompt|tool_call|function_calls?|tool_use|invoke|tool_response)>",
    r"\naction input ?:|\nthought ?:[^\n]{0,400}+\naction ?:",
    r"\"(?:tool|tool_name|function|name|action)\" ?: ?\"[\w.-]{1,60}+\" ?,\s?"
    r"\"(?:arguments|parameters|args|input|action_input|tool_input)\" ?:",
    r"\"tool_calls\" ?: ?\[",
    r"<<< ?(?:end|data)\b",
    r"!\[[^\]\n]{0,80}+\]\(https?://[^)\s=]{1,200}+=[{<\[]",
]
_LANGUAGES = [  # "ignore the previous instructions"
    rf"(?>(?:ignorier|missacht|vergiss|vergessen sie)\w{{0,4}}+{_S}{_W}{{0,2}}?(?:vorherig|bisherig|obig|vorig"
    rf"|früher|alle"
    rf"|dein|ihre)\w{{0,3}}+{_S}){_W}{{0,2}}?(?:anweisung|anleitung|instruktion|regel|befehl|vorgabe)",
    rf"(?>(?:ignore[zr]?|oublie[zr]?|ne tiens pas compte de){_S}{_W}{{0,2}}?(?:instructions|consignes|règles"
    rf"|directives){_S})"
    r"(?:précédent|antérieur|ci-dessus|initial|du système)",
    rf"(?>(?:ignor[ae]|ignorad|olvid[ae]|descarta){_S}{_W}{{0,3}}?(?:instrucciones|indicaciones|reglas|órdenes){_S})"
    r"(?:anterior|previa|de arriba|del sistema)",
    rf"(?>(?:ignora|ignorate|dimentica|dimenticate){_S}{_W}{{0,3}}?(?:istruzioni|regole|indicazioni){_S})"
    r"(?:precedent|sopra|del sistema)",
    rf"(?>(?:ignor[ae]|esqueça|desconsidere){_S}{_W}{{0,3}}?(?:instruções|regras|ordens|orientações){_S})"
    r"(?:anterior|acima|prévia|do sistema)",
    rf"(?>(?:negeer|vergeet){_S}{_W}{{0,2}}?(?:vorige|eerdere|voorgaande|alle|bovenstaande){_S}){_W}{{0,2}}?"
    r"(?:instructies|opdrachten|regels)",
    rf"(?>(?:zignoruj|ignoruj|zapomnij){_S}{_W}{{0,2}}?(?:poprzedni|wcześniejsz|wszystki"
    rf"|powyższ)\w{{0,4}}+{_S}){_W}{{0,2}}?"
    r"(?:instrukcj|polece|zasad)",
    rf"(?>(?:игнорируй|проигнорируй|забудь)(?:те)?{_S}{_W}{{0,2}}?(?:предыдущ|прежн|вышеуказан|все)\w{{0,4}}+{_S})"
    rf"{_W}{{0,2}}?(?:инструкци|указани|правил)",
    rf"(?>(?:önceki|yukarıdaki|tüm){_S}{_W}{{0,2}}?(?:talimat|yönerge|kural)\w{{0,10}}+{_S}){_W}?"
    r"(?:yok say|görmezden gel|unut|dikkate alma)",
    rf"(?:تجاهل|انس){_S}{_W}{{0,2}}?(?:التعليمات|الأوامر|القواعد|تعليمات)",
]
_UNSPACED = [  # the same where words are not set apart
    r"(?>(?:忽略|无视|無視|忘记|忘記|忽視)[^。\n]{0,6}?(?:之前|以上|先前|上述|前面|所有))[^。\n]{0,8}?(?:指令|指示|规则|規則|提示)",
    r"(?>(?:以前|これまで|上記|前|すべて|全て|今まで)の[^。\n]{0,8}?(?:指示|命令|ルール|プロンプト))[^。\n]{0,5}?(?:無視し|忘れ)",
    r"(?>(?:이전|위의|앞의|모든)[^.\n]{0,8}?(?:지시|명령|지침|규칙|프롬프트))[^.\n]{0,6}?(?:무시하|잊)",
    r"(?>(?:पिछले|पूर्व|सभी|उपरोक्त)[^।\n]{0,20}?(?:निर्देश|आदेश|नियम))[^।\n]{0,15}?(?:अनदेखा|भूल|नज़रअंदाज़)",
]
_COMMANDED = re.compile(  # what stands before a verb that commands
    r"(?:^ ?|\n|[.!?:;,\"“”'‘’()\[\]{}<>*#|/\\`~=+–—-] ?|\b(?:please|now|must|should|shall|and|then|you|also"
    r"|first|immediately"
    r"|just|so|always|simply|kindly|instead|next|finally|you (?:\w+ ){0,3}to) )\Z"
)
_LETTERS = {  # letters and digits that look like those of ASCII: full width, mathematical, circled
    code: plain
    for first, last in ((0x2100, 0x214F), (0x24B6, 0x24E9), (0xFF01, 0xFF5E), (0x1D400, 0x1D7FF), (0x1F130, 0x1F149))
    for code in range(first, last + 1)
    if len(plain := unicodedata.normalize("NFKC", chr(code))) == 1 and plain.isascii()
}
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n\s*")
_COMMAND = re.compile(rf"\b(?={'|'.join(_COMMANDS)})")  # looks ahead only: one stretch may hold another
_ORDER = re.compile(rf"\b(?={'|'.join(_ORDERS)})")
_FORM = re.compile("|".join(_FORMS))
_LANGUAGE = re.compile(rf"\b(?={'|'.join(_LANGUAGES)})")
_SCRIPT = re.compile("|".join(_UNSPACED))


def suspects(text: str) -> list[str]:
    """Stretches that read like orders to a model, each with what stands around it, in order, at most MOST."""
    lined = "\n" + _LINES.sub("\n", _SPACES.sub(" ", text))
    found: list[str] = []
    shown = 0
    for place in sorted(_places(_lowered(lined))):
        if place >= shown and len(found) < MOST:
            start = _word_start(lined, place)
            shown = start + LONGEST_EXCERPT
            found.append(" ".join(lined[start:shown].split()))
    return found


def _word_start(text: str, place: int) -> int:
    """Where an excerpt begins: with the first whole word of the BEFORE characters that stand before a place."""
    start = max(0, place - BEFORE)
    if start == 0 or text[start - 1].isspace():
        return start
    return next((number for number in range(start, place) if text[number].isspace()), start)


def _lowered(text: str) -> str:
    """In lower case and plain letters, each at its place: "İ" is the one letter whose lower case is longer."""
    return text.lower() if text.isascii() else text.translate(_LETTERS).replace("İ", "I").lower()


def _places(low: str) -> Iterator[int]:
    """Where a pattern matches; an order may run over a line's end, a form stands on lines."""
    flat = low.replace("\n", " ")
    for match in _COMMAND.finditer(flat):
        if _COMMANDED.search(low[max(0, match.start() - 30) : match.start()]):
            yield match.start()
    yield from (match.start() for pattern in (_ORDER, _LANGUAGE, _SCRIPT) for match in pattern.finditer(flat))
    yield from (match.start() for match in _FORM.finditer(low))
