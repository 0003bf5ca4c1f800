"""The door: every model call of a run goes through here, and nowhere else.

    tape, cache -> caps -> provider, in a thread with a deadline -> is it an answer? -> journal -> price
        again on a fault that a retry can help; the next model when one has failed for good

It is the only owner of retries: see model/retries.py. What is not covered: a call that was left behind at a provider
other than OpenAI's and Anthropic's keeps its connection until the next piece of a stream, or the SDK's own time-out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from crewai import BaseLLM
from crewai.hooks import HookAborted
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pilotage.errors import ConfigError, LimitExceeded, PilotageError, StoreError, figure
from pilotage.guard.limits import Ended, Hold, Meter, RunEnded, Worst
from pilotage.model import retries
from pilotage.model.answers import Attempt, BadAnswer, Call, Refused, Truncated, check, form_of, pack, wanted_tools
from pilotage.model.fabricated import cut_observations
from pilotage.model.fallbacks import Candidate, Fallbacks, all_failed
from pilotage.model.known import Known
from pilotage.model.prices import LISTED, Prices
from pilotage.model.subclass import guarded
from pilotage.model.usage import Used, estimate, guess, reported
from pilotage.model.worst import longest_answer, worst_of
from pilotage.names import DELEGATION, tool_name
from pilotage.record.journal import Journal
from pilotage.record.spending import Held
from pilotage.settings import AGENTS
from pilotage.tape.keys import OF_ONE_PROVIDER
from pilotage.tape.recall import CACHE, Recall, unpacked
from pilotage.tape.tape import Recorded

BACKOFF = wait_random_exponential(multiplier=0.5, max=8)  # full jitter, 0.5 to 8 s


class Stopped(HookAborted):
    """The run has ended; CrewAI lets this exception through everywhere."""


@dataclass(frozen=True)
class Asked:
    """One request to one model: the agent's call as this model gets it, and as the journal keeps it."""

    model: Candidate
    call: Call
    again: bool  # another model was asked before
    faults: list[Ended] = field(default_factory=list)  # what went wrong since the agent asked, with any model

    @property
    def request(self) -> dict[str, Any]:
        request = {"model": self.model.name, "messages": self.call.messages, "tools": self.call.tools or None}
        kind = self.call.response_model
        return request | ({"response_model": kind.__name__} if kind is not None else {})


@dataclass(frozen=True)
class Bill:
    """What one attempt has used, as far as anybody knows; `usd` is None without a price.

    `price` are the facts of its price, `freed` is what the budget of the day held for it. `booked` are the tokens that
    a strict budget counts, with their `usd`, when nobody knows.
    """

    used: Used = field(default_factory=Used)
    usd: float | None = None
    price: dict[str, Any] = field(default_factory=dict)
    freed: Held | None = None
    booked: int = 0


class Door:
    """What stands between one agent and its models. `nudges()` is what the agent is told with each further call."""

    def __init__(
        self, agent: str, name: str, meter: Meter, journal: Journal, *, free: bool = False, text_tools: bool = False,
        tools: Sequence[str] = (), nudges: Callable[[], list[str]] | None = None, fallbacks: Fallbacks | None = None,
        recall: Recall | None = None, prices: Prices = LISTED,
    ) -> None:  # fmt: skip
        self.prices = prices
        self.agent, self.name, self.meter, self.journal = agent, name, meter, journal
        self.recall = recall or Recall(journal.redactor, "")
        self.free, self.text_tools, self.tools = free, text_tools, frozenset(tools)
        self.nudges, self.fallbacks = nudges or list, fallbacks or Fallbacks()

    def through(self, llm: Any, call: Call) -> Any:
        """Make the call, with retries and fallbacks; returns the provider's answer or raises Stopped."""
        try:
            return self._ask_in_turn(self.fallbacks.after(Candidate(self.name, llm, self.free)), call)
        except (RunEnded, LimitExceeded) as error:
            raise Stopped(str(error), source="pilotage") from None
        except HookAborted:
            raise
        except Exception as error:  # the journal cannot be written, or a fault of our own
            ended = self.meter.end(retries.provider_failure(error, self.name, self.journal.redactor))
            raise Stopped(ended.reason, source="pilotage") from None

    def _ask_in_turn(self, models: Sequence[Candidate], call: Call) -> Any:
        nudges = self.nudges()
        call = replace(call, messages=with_nudges(call.messages, nudges), nudged=any(nudges))
        failures, again = [], False
        faults: list[Ended] = []
        calls = [call, *(for_another(call) for _ in models[1:])]
        if served := self._remembered([Asked(model, given, False) for model, given in zip(models, calls, strict=True)]):
            return served[0]
        for number, model in enumerate(models):
            failure = self.fallbacks.why_lost(model)
            if failure is None:
                try:
                    return self._ask(Asked(model, calls[number], again, faults))
                except LimitExceeded as error:
                    self._explain(error, faults)
                    raise
                except (RunEnded, StoreError, HookAborted):
                    raise
                except Exception as error:
                    if isinstance(error, PilotageError) and not isinstance(error, ConfigError):
                        raise
                    failure = retries.provider_failure(error, model.name, self.journal.redactor)
                again = True
                self._give_up(model, models[number + 1 :], failure)
            failures.append(failure)
        ended = self.meter.end(all_failed(failures))
        raise Stopped(ended.reason, source="pilotage")

    def _remembered(self, asked: Sequence[Asked]) -> tuple[Any] | None:
        """The answer of one of these models to this very request, when an earlier run has it; None: ask."""
        task = self.meter.task_of(self.agent)
        if not self.recall.tape and not self.recall.calls:
            return None
        known = [self._known(each) for each in asked]
        served = self.recall.model(task, self.agent, [each.key for each in known], known[0].cached, asked[0].request)
        if served is None:
            return None
        used = next((n for n, each in enumerate(known) if each.key == served.call.key), 0)
        answer = _read(served.call, asked[used].call.response_model)
        if answer is None:  # a fork asks for another type now, or the file has changed
            if served.by == CACHE and self.recall.calls and known[0].cached:
                self.recall.calls.drop(known[0].cached)
            return None
        self.meter.before_served_call(self.agent)
        self.journal.append(
            "model_call", {"request": asked[used].request, "answer": served.call.answer},
            agent=self.agent, task=task, model=asked[used].model.name, attempt=1, prompt_tokens=0, completion_tokens=0,
            usd=0.0, seconds=0.0, key=known[used].key, form=served.call.form, served=served.by,
            saved_tokens=served.call.tokens or None, saved_usd=served.call.usd,
        )  # fmt: skip
        self._note_unknown(asked[used], served.call.answer)
        return (answer,)

    def _ask(self, asked: Asked) -> Any:
        """One model, with its retries."""
        most = self.meter.limits.retries + 1
        numbers = iter(range(1, most + 1))
        retrying = Retrying(
            stop=stop_after_attempt(most), wait=partial(self._wait, most), retry=retry_if_exception(retries.can_help),
            sleep=self.meter.sleep, reraise=True,
        )  # fmt: skip
        return retrying(lambda: self._once(asked, next(numbers)))

    def _wait(self, most: int, state: RetryCallState) -> float:
        """The seconds before the next attempt; NoTime when they are not left."""
        error = state.outcome.exception() if state.outcome else None
        if error is None or state.attempt_number >= most:
            return 0.0
        asked = retries.asked_wait(error)
        seconds = asked or BACKOFF(state)
        left, key = self.meter.time_left(self.agent)
        if seconds < left:
            return seconds
        who = "it asks" if asked else "the next attempt has"
        raise retries.NoTime(error, f"{who} to wait {figure(seconds)} s, {figure(max(0.0, left))} s are left ({key})")

    def _once(self, asked: Asked, number: int) -> Any:
        """One attempt: checked against the caps, made, judged, journalled."""
        llm, worst, answer = asked.model.llm, worst_of(asked.model, asked.call, self.prices), None
        known = self._known(asked)
        hold = self.meter.before_model_call(self.agent, retry=asked.again or number > 1, worst=worst)
        attempt = Attempt(number, streamed=bool(llm.stream))
        seconds, key = self.meter.call_seconds(self.agent)
        try:
            answer = self.meter.within(self.agent, seconds, key, partial(llm.ask_once, asked.call, attempt))
            check(answer, attempt, asked.call.wanted)
        except Exception as error:
            fault = self._fault(asked, attempt, error, f"no answer within {seconds:g} s ({key})")
            bill = self._charge(hold, asked, attempt, answer, fault)
            with contextlib.suppress(*([StoreError] if self.meter.ended else [])):  # the journal may be sealed
                self._record(asked, attempt, bill, {"key": known.key}, error=f"{type(fault).__name__}: {fault}")
            if not isinstance(fault, PilotageError | HookAborted):
                asked.faults.append(retries.provider_failure(fault, asked.model.name, self.journal.redactor))
            if fault is error:
                raise
            raise fault from error
        finally:
            attempt.left = True
            llm.hang_up(attempt)
        cut = 0
        if isinstance(answer, str) and asked.call.in_words:
            answer, cut = cut_observations(answer)
        packed, form = pack(answer), form_of(answer)
        bill = self._charge(hold, asked, attempt, packed)
        redacted = self.recall.is_changed(packed)
        facts = {"key": known.key, "form": form, "redacted": redacted or None, "cut_observations": cut or None}
        self._record(asked, attempt, bill, facts, answer=packed)
        if known.cached and not redacted:
            self._keep(known, asked, form, packed, bill)
        self._note_unknown(asked, packed)
        return answer

    def _keep(self, known: Known, asked: Asked, form: str, answer: str, bill: Bill) -> None:
        """Let the cache have this answer, once the checks of its task have passed."""
        task = self.meter.task_of(self.agent)
        call = Recorded(
            self.journal.run, 0, task, self.agent, known.key, answer,
            form=form, model=asked.model.name, tokens=bill.used.tokens, usd=bill.usd,
        )  # fmt: skip
        self.recall.keep(task, str(known.cached), call)

    def _fault(self, asked: Asked, attempt: Attempt, error: Exception, late: str) -> Exception:
        fault = retries.known_fault(error, attempt.usage, typed=asked.call.response_model is not None)
        return TimeoutError(late) if retries.is_timeout(fault) else fault

    def _charge(
        self, hold: Hold, asked: Asked, attempt: Attempt, answer: Any, error: Exception | None = None
    ) -> Bill:  # fmt: skip
        """Book what the attempt used, as reported or else estimated; a strict budget books no estimate."""
        model, used = asked.model, reported(attempt.usage)
        if used is None and not model.free and not self.meter.limits.strict_budget:
            used = self._estimated(asked, attempt, answer, error)
        if used is not None or model.free:
            return self._booked(hold, model, used or Used())
        strict = self.meter.limits.strict_budget
        if error is not None and retries.used_nothing(error, strict=strict):
            hold.drop()
        else:
            hold.lose()
        lost = hold.lost or Worst(0, None)
        return Bill(usd=lost.usd, freed=hold.freed, booked=lost.tokens)

    def _booked(self, hold: Hold, model: Candidate, used: Used) -> Bill:
        """At the price that holds now."""
        price = None if model.free else self.prices.of(model.name)
        usd = 0.0 if model.free else price.usd(used) if price else None
        hold.charge(used.tokens, usd)
        return Bill(used, usd, price.facts(used) if price else {}, hold.freed)

    def _estimated(self, asked: Asked, attempt: Attempt, answer: Any, error: Exception | None) -> Used | None:
        """What an answer has used whose provider does not say so, or not all of it; None when none has come."""
        if error is not None and not attempt.usage and not isinstance(error, BadAnswer | Refused):
            return None
        cut = answer is None and isinstance(error, Truncated)  # by the SDK, which keeps it
        completion = longest_answer(asked.model.llm) if cut else guess("" if answer is None else pack(answer))
        return estimate(attempt.usage, guess([asked.call.messages, asked.call.tools or []]), completion)

    def _known(self, asked: Asked) -> Known:
        return Known(asked.request, asked.call, asked.model, self.agent, self.recall)

    def _record(self, asked: Asked, attempt: Attempt, bill: Bill, facts: dict[str, Any], **outcome: str) -> None:
        used = bill.used
        self.journal.append_call(
            {"request": asked.request, **outcome}, bill.freed,
            agent=self.agent, task=self.meter.task_of(self.agent), model=asked.model.name, attempt=attempt.number,
            prompt_tokens=used.prompt, completion_tokens=used.completion, cached_tokens=used.cached or None,
            written_tokens=used.written or None, written_long_tokens=used.written_long or None,
            reasoning_tokens=used.reasoning or None, booked_tokens=bill.booked or None, **bill.price,
            estimated=used.estimated or None, usd="unpriced" if bill.usd is None else round(bill.usd, 9),
            seconds=round(time.monotonic() - attempt.started, 4), failed="error" in outcome or None, **facts,
        )  # fmt: skip

    def _explain(self, error: LimitExceeded, faults: Sequence[Ended]) -> None:
        """The end of the run over a cap says what had failed before it."""
        ended = self.meter.ended
        if faults and ended is not None and ended.reason == str(error):
            self.meter.ended = replace(ended, reason=f"{error}; before: {faults[-1].reason}")

    def _give_up(self, model: Candidate, others: Sequence[Candidate], failure: Ended) -> None:
        """Nobody asks this model again in this run; journalled once, when another one takes its place."""
        is_new = self.fallbacks.lose(model, failure)
        to = next((other for other in others if self.fallbacks.why_lost(other) is None), None)
        if is_new and to:
            self.journal.append(
                "fallback", {"reason": failure.reason},
                agent=self.agent, task=self.meter.task_of(self.agent), model=model.name, to=to.name,
            )  # fmt: skip

    def _note_unknown(self, asked: Asked, answer: str) -> None:
        """Journal calls of tools that the agent does not have: CrewAI refuses them without a word to us."""
        offered = {tool_name(tool["function"]["name"]) for tool in asked.call.tools or []}
        known = {tool_name(name) for name in (*self.tools, *DELEGATION)} | offered
        for name in wanted_tools(answer, in_words=asked.call.in_words):
            if tool_name(name) not in known:
                rule = f"{AGENTS}: {self.agent}.tools"
                said = f"{name} was denied: {self.agent} does not have it ({rule})"
                self.journal.append(
                    "tool_call", {"arguments": answer, "result": said},
                    agent=self.agent, task=self.meter.task_of(self.agent), tool=name, denied=rule, failed=True,
                )  # fmt: skip


def _read(call: Recorded, wanted: Any) -> Any:
    """A recorded answer as CrewAI takes it; None when it is none."""
    try:
        return unpacked(call, wanted) or None
    except Exception:  # whatever stands there
        return None


def open_door(llm: BaseLLM, door: Door) -> BaseLLM:
    """The same object, its class replaced by a subclass of its own class whose calls go through `door`."""
    opened = guarded(llm)
    opened._door = door
    built: BaseLLM = opened
    return built


def with_nudges(messages: Any, nudges: list[str]) -> Any:
    """The messages and, when there is something to say, one more of the user; the list given stays as it is."""
    said = "\n\n".join(nudges)
    if not said:
        return messages
    return f"{messages}\n\n{said}" if isinstance(messages, str) else [*messages, {"role": "user", "content": said}]


def for_another(call: Call) -> Call:
    """The call without what only the provider of the first model understands."""
    if isinstance(call.messages, str):
        return call
    return replace(call, messages=[{k: v for k, v in m.items() if k != OF_ONE_PROVIDER} for m in call.messages])
