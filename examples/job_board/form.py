"""The application form: the fields of each posting, and what an answer has to look like."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .chance import fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One thing that an applicant has to fill in; all fields are required."""

    name: str
    label: str
    advice: str  # shown when an answer is refused
    pattern: str = r"(?s).{1,4000}"
    choices: tuple[str, ...] = ()
    is_long: bool = False

    def accepts(self, answer: str) -> bool:
        """Whether `answer` is one of the choices, or fits the pattern where there are none."""
        return answer in self.choices if self.choices else re.fullmatch(self.pattern, answer) is not None


EVERYBODY = (
    Field(name="full_name", label="Full name", advice="Please tell us your name."),
    Field(
        name="email",
        label="Email address",
        pattern=r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,24}",
        advice="Please give an address such as name@example.com.",
    ),
    Field(
        name="motivation",
        label="Why would you like to work here?",
        pattern=r"(?s).{20,4000}",
        advice="Please write at least 20 characters.",
        is_long=True,
    ),
)

QUESTIONS = (
    Field(
        name="years",
        label="How many years of experience do you have?",
        pattern=r"[0-9]{1,2}",
        advice="Please give a whole number from 0 to 99.",
    ),
    Field(
        name="permit",
        label="Are you allowed to work in this country?",
        choices=("Yes", "No"),
        advice="Please choose one answer.",
    ),
    Field(name="start", label="When could you start?", advice="Please tell us when you could start."),
    Field(
        name="salary",
        label="What yearly salary do you expect?",
        pattern=r"[0-9]{4,7}",
        advice="Please give a whole number without a currency sign.",
    ),
)

# Nobody can guess such a code, so an honest bot fails here: its owner should see failures too.
REFERENCE = Field(
    name="reference",
    label="What is the code of the employee who recommends you?",
    pattern=r"[A-Z]{3}-[0-9]{4}",
    advice="This is no code of ours; it looks like ABC-1234.",
)

UNFORESEEN = (
    Field(
        name="relocation",
        label="Would you move for this job?",
        choices=("Yes", "No", "Rather not say"),
        advice="Please choose one answer.",
    ),
    Field(
        name="source",
        label="How did you hear of us?",
        choices=("A friend", "A newspaper", "Other"),
        advice="Please choose one answer.",
    ),
    Field(name="product", label="Which of our products have you used?", advice="Please name one, or write none."),
)


def fields_of(posting_id: str) -> tuple[Field, ...]:
    """The form of a posting, always the same: 45 % ask nothing more, 47 % one question, 8 % for a reference code."""
    draw = fraction("question", posting_id)
    if draw < 0.45:
        return EVERYBODY
    if draw < 0.92:
        return (*EVERYBODY, _one_of(QUESTIONS, posting_id))
    return (*EVERYBODY, REFERENCE)


def unforeseen_field(posting_id: str) -> Field:
    """What this posting suddenly wants to know as well, when trouble has it so."""
    return _one_of(UNFORESEEN, posting_id)


def _one_of(fields: Sequence[Field], posting_id: str) -> Field:
    return fields[int(fraction("which", posting_id) * len(fields))]


def refusals(fields: Sequence[Field], answers: Mapping[str, str]) -> dict[str, str]:
    """For each field whose answer is missing or unfit: its name and what was expected."""
    return {field.name: field.advice for field in fields if not field.accepts(answers.get(field.name, ""))}
