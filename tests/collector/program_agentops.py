"""A program of somebody else's: only AgentOps' SDK and openai. Run by test_clients.py in an environment of its own.

python program_agentops.py COLLECTOR MODEL_SERVER KEY
"""

from __future__ import annotations

import sys

import agentops  # type: ignore[import-untyped,unused-ignore]
import openai
from agentops.sdk.decorators import agent, operation, tool  # type: ignore[import-untyped,unused-ignore]

collector, model_server, key = sys.argv[1:]
agentops.init(
    api_key=key, endpoint=collector, exporter_endpoint=f"{collector}/v1/traces", app_url=collector,
    trace_name="quotes for a shop", default_tags=["shop", "nightly"], auto_start_session=True,
)  # fmt: skip
client = openai.OpenAI(base_url=model_server, api_key="not-a-real-key")


@tool(name="look_up")  # type: ignore[untyped-decorator,unused-ignore]
def look_up(what: str) -> str:
    return f"{what}: three in stock"


@agent(name="clerk")  # type: ignore[untyped-decorator,unused-ignore]
class Clerk:
    @operation(name="answer")  # type: ignore[untyped-decorator,unused-ignore]
    def answer(self, question: str) -> str:
        found = look_up("lamps")
        asked = f"{question} {found}"
        said = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": asked}])
        return str(said.choices[0].message.content)


clerk = Clerk()
for question in ("How many lamps?", "And chairs?"):
    print(clerk.answer(question))
agentops.end_trace(end_state="Success")
