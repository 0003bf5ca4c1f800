from __future__ import annotations

from tests.model.bench import Make

CALL = "Thought: which day?\nAction: today\nAction Input: {}"
PROMPT = [{"role": "user", "content": "Use this format: Action: a tool\nAction Input: its arguments\nObservation: ..."}]


def test_a_made_up_result_is_cut_before_crewai_reads_it_and_counted(bench: Make) -> None:
    made = bench()
    model = made.guard(lambda _: f"{CALL}\nObservation: Monday\nFinal Answer: Monday", text_tools=True, tools=["today"])
    assert model.call(PROMPT) == CALL
    (event,) = made.calls()
    assert event.facts["cut_observations"] == 1
    assert event.content["answer"] == CALL


def test_what_stands_in_an_answer_outside_of_the_text_mode_stays(bench: Make) -> None:
    made = bench()
    said = f"{CALL}\nObservation: Monday"
    assert made.guard(lambda _: said).call([{"role": "user", "content": "Tell of ReAct."}]) == said
    assert "cut_observations" not in made.calls()[0].facts
