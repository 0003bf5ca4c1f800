"""Your crew. The words stand in config/agents.yaml and config/tasks.yaml: an entry added there joins the crew.

For what YAML cannot say, build one by hand: `kit.agent("researcher", inject_date=True)` and `kit.task("research")` take
every argument of CrewAI's Agent and Task.
"""

from crewai import Crew, Process

from pilotage import Kit


def crew(kit: Kit) -> Crew:
    """A researcher finds, a verifier checks, an explainer answers with citations."""
    return Crew(agents=kit.agents(), tasks=kit.tasks(), process=Process.sequential)
