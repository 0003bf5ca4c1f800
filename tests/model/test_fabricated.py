from __future__ import annotations

import pytest

from pilotage.model.fabricated import cut_observations

CALL = 'Thought: I must look.\nAction: search\nAction Input: {"query": "cap"}'


@pytest.mark.parametrize(
    ("behind", "cut"),
    [
        ("\nObservation: The cap is 300 s.\nThought: done\nFinal Answer: 300 s", 1),
        ("\n\nObservation: a\nAction: search\nAction Input: {}\nObservation: b\nFinal Answer: c", 2),
        ("\nThought: I now know.\nFinal Answer: 300 s", 1),
        ("\nFinal Answer: 300 s", 1),
    ],
)
def test_what_stands_behind_a_call_is_cut_and_counted(behind: str, cut: int) -> None:
    assert cut_observations(CALL + behind) == (CALL, cut)


@pytest.mark.parametrize(
    "answer",
    [
        CALL,
        'Action: run\nAction Input: {\n  "code": "print(1)\\nFinal Answer: 2"\n}',
        "Thought: done\nFinal Answer: Observation: nothing was seen.",
        "Observation: the model only talks.",
        "",
    ],
)
def test_an_answer_without_a_made_up_result_stays(answer: str) -> None:
    assert cut_observations(answer) == (answer, 0)
