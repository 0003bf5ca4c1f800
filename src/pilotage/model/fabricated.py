"""Results that a model made up: what it writes behind its own call of a tool in the text mode, as if it had run.

CrewAI 1.15 takes an answer that holds a call and "Final Answer:" for final, and the tool is never run. What is not
covered: a made-up result without one of the words that CrewAI's prompt has for its parts.
"""

from __future__ import annotations

import re

CALL = re.compile(r"^[ \t]*Action[ \t]*:[^\n]*\n+[ \t]*Action Input[ \t]*:", re.MULTILINE)
BEHIND = re.compile(r"^[ \t]*(?:Observation|Thought|Action|Final Answer)[ \t]*:", re.MULTILINE)
OBSERVATION = re.compile(r"^[ \t]*Observation[ \t]*:", re.MULTILINE)


def cut_observations(answer: str) -> tuple[str, int]:
    r"""The answer up to the end of its first call, and how many results were made up behind it; 0: nothing was cut.

    >>> cut_observations("Action: today\nAction Input: {}\nObservation: Monday\nFinal Answer: Monday")
    ('Action: today\nAction Input: {}', 1)
    """
    call = CALL.search(answer)
    behind = BEHIND.search(answer, call.end()) if call else None
    if behind is None:
        return answer, 0
    return answer[: behind.start()].rstrip(), max(1, len(OBSERVATION.findall(answer, behind.start())))
