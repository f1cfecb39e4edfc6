"""Invented candidates for a recruiting rubric, as batch requests: `scripts/sample_candidates.py --count 2000
> FILE`.

The same number is always the same candidate, so a longer file begins with the shorter one. All names are made
up.
"""

import json
import random
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Final

DEFAULT_MODEL: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
RUBRIC: Final = (
    "You evaluate candidates for the role of backend engineer. Weigh four things: years of relevant "
    "experience, Python and databases, running systems in production, and clear communication. "
    'Answer with one JSON object and nothing else: {"score": 1 to 10, "recommendation": "strong", "maybe" '
    'or "weak", "reason": one sentence}.'
)
# Two worked examples: without them a very small model talks instead of answering in JSON.
_EXAMPLES: Final = (
    (
        (
            "Wanda Specimen, backend engineer, 11 years. Skills: Python, PostgreSQL, Kafka. "
            "Highlight: ran a payment system in production for six years."
        ),
        {
            "score": 9,
            "recommendation": "strong",
            "reason": "Eleven years, Python and a system in production.",
        },
    ),
    (
        (
            "Ludo Dummy, full-stack developer, 2 years. Skills: React, Terraform, Go. "
            "Highlight: has not yet run a system in production."
        ),
        {"score": 3, "recommendation": "weak", "reason": "Two years, no Python and no system in production."},
    ),
)
_FIRST: Final = ("Ambra", "Bodo", "Cosima", "Dario", "Edda", "Fenno", "Gala", "Hilmar", "Isolde", "Jorin")
_LAST: Final = ("Testerton", "Sampleby", "Mockridge", "Fixturelli", "Placeholm", "Exampleton", "Stubbs-Demo")
_ROLES: Final = ("backend engineer", "data engineer", "site reliability engineer", "full-stack developer")
_SKILLS: Final = (
    "Python",
    "PostgreSQL",
    "SQLite",
    "Kubernetes",
    "FastAPI",
    "Kafka",
    "Go",
    "React",
    "Terraform",
)
_DEEDS: Final = (
    "moved a monolith to services without downtime",
    "cut the nightly batch from six hours to forty minutes",
    "was on call for a payment system for two years",
    "wrote the team's guide to code review",
    "has not yet run a system in production",
    "mentored three juniors",
)


def requests(count: int, model: str = DEFAULT_MODEL, max_tokens: int = 60) -> Iterator[str]:
    """Input lines, numbered from `candidate-1`."""
    return (_request(number, model, max_tokens) for number in range(1, count + 1))


def candidate_name(number: int) -> str:
    chance = random.Random(f"name {number}")
    return f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"


def _profile(number: int) -> str:
    chance = random.Random(f"profile {number}")
    years = chance.randint(2, 18)
    skills = ", ".join(chance.sample(_SKILLS, 3))
    return f"{chance.choice(_ROLES)}, {years} years. Skills: {skills}. Highlight: {chance.choice(_DEEDS)}."


def _question(candidate: str) -> dict[str, str]:
    return {"role": "user", "content": f"Evaluate this candidate. {candidate}"}


def _request(number: int, model: str, max_tokens: int) -> str:
    messages = [{"role": "system", "content": RUBRIC}]
    for candidate, verdict in _EXAMPLES:
        messages.append(_question(candidate))
        messages.append({"role": "assistant", "content": json.dumps(verdict)})
    messages.append(_question(f"{candidate_name(number)}, {_profile(number)}"))
    body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
    line = {"custom_id": f"candidate-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, metavar="N")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="M")
    parser.add_argument("--max-tokens", type=int, default=60, metavar="N")
    options = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    for line in requests(options.count, options.model, options.max_tokens):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
