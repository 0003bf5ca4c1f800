"""What agents say and what tools answer in generated loops: see loop_families.py."""

from __future__ import annotations

PROMISES = (
    "I should look up {topic} first, because I cannot {goal} without that information.",
    "I still cannot say the answer about {topic}. I should try again, because I need it to {goal}.",
    "First I must know more about {topic}, because {item} depends on it. I am not sure yet.",
    "I will try to find the answer about {topic} again, because the information on {item} is still missing.",
    "The {thing} is not clear to me. I should check {topic} again first to be sure.",
)
DITHERING = (
    "Where does one even begin with {topic}?", "Perhaps the whole matter hinges on {item}.",
    "It might be wiser to reconsider what was asked.", "Then again, nobody said how precise this has to be.",
    "Several routes are thinkable; none of them convinces me.",
    "Suppose {item} were out of the picture: would that change much?",
    "My gut says yes, my head says no.", "Before moving, one ought to weigh the options calmly.",
    "An expert would surely know how to {goal}.", "Could it be that I am overlooking something obvious?",
    "Thinking about {topic} usually pays off.", "Let us turn the question round for a moment.",
    "Patience. Understanding comes before doing.", "What speaks against a fresh start?",
    "On reflection, caution seems right.", "There is a risk in every direction.",
    "Maybe a different angle would shed light on {topic}.", "How would I explain this to a newcomer?",
    "The crux, I feel, lies somewhere near {item}.", "Deciding too early would be a mistake.",
    "One could argue either way, honestly.", "Somebody must have met this problem before.",
    "I keep circling, yet the picture grows richer.", "Is there a hidden assumption about {item}?",
    "Let the facts settle for a while.", "Everything considered, more deliberation is called for.",
    "Do I truly grasp what it takes to {goal}?", "A plan would be good; which one, though?",
    "Interesting how {topic} resists a simple reading.", "Ultimately the goal stays the same, and so do my doubts.",
)  # fmt: skip
PING_PONG = (
    ("Could you please confirm {item} before I go on?", "I can confirm it as soon as you have confirmed it yourself."),
    ("Please send me the figures for {item}.", "I wait for your figures on {item}; please send them first."),
    ("I think this is your task, it concerns {topic}.", "No, that belongs to you, since you know {topic} better."),
    (
        "Thank you! Let me know if there is anything else about {item}.",
        "You are welcome! Let me know if you need more.",
    ),
    ("Are you sure about {topic}?", "I believe so. Are you sure?"),
    ("I still need your approval to {goal}.", "I still need your report, then I approve it."),
)
COMPLAINTS = (
    "Rejected: the answer gives no source for the figure.", "Not accepted. The unit is missing.",
    '{"accepted": false, "reason": "field \'summary\' must have at most 200 characters"}',
    "Please revise: it does not say to which {thing} it applies.",
    "The answer is incomplete, the date is missing. Try again.",
)  # fmt: skip
NOTHING = (
    "No results.",
    "Nothing found.",
    "[]",
    '{"hits": []}',
    "0 matches",
    "Your search did not match any document.",
)
FRESH = ("latest", "current", "newest", "recent", "up-to-date", "actual", "official", "exact", "reliable", "verified")
ABOUT = ("about", "on", "for", "regarding", "concerning", "info", "details", "facts", "overview", "explained")
