"""A bare CrewAI crew of three agents with an instant in-process model: what bench_startup.py compares with."""

import os

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_DISABLE_VERSION_CHECK="true")

from typing import Any

from crewai import Agent, BaseLLM, Crew, Process, Task


class Instant(BaseLLM):
    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        return "Final Answer: an agent stops looping when its iterations are capped."

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 0


def agent(role: str) -> Agent:
    model = Instant(model="instant")
    return Agent(role=role, goal="answer", backstory="an agent", llm=model, respect_context_window=False)


def main() -> None:
    agents: list[Any] = [agent(role) for role in ("researcher", "verifier", "explainer")]
    tasks = [Task(description="How do I stop an agent from looping?", expected_output="text", agent=a) for a in agents]
    print(Crew(agents=agents, tasks=tasks, process=Process.sequential).kickoff())


if __name__ == "__main__":
    main()
