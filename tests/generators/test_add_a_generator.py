"""The README's example of a new generator works as written: one file, one prompt, one line in the registry."""

from generators.gates import Bounds, gates_of
from schemas.pipeline import validate
from tests.generators.by_hand import LIVER, Teacher

GENERATOR = '''"""Finding list: what is marked in a picture, one line each."""

from typing import ClassVar

from generators.asking import Style, ask_with, common
from generators.base import AskOptions, show
from generators.prompt import Prompt, load_prompt
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Record


class FindingListOptions(AskOptions):
    prompt: str = "finding-list"


class FindingList:
    name: ClassVar[str] = "finding_list"
    version: ClassVar[int] = 1
    Options: ClassVar[type[FindingListOptions]] = FindingListOptions

    def __init__(self, options: FindingListOptions, seed: int) -> None:
        self.options, self.seed, self.prompt = options, seed, load_prompt(options.prompt)

    def prompts(self) -> tuple[Prompt, ...]:
        return (self.prompt,)

    def num_asks(self) -> int:
        return 1

    def accepts(self, record: Record) -> bool:
        return bool(record.frames and record.facts.labels)

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        variables = common(record)
        style = Style("generate", self.options, self.seed)
        answer = await ask_with(ask, self.prompt, variables, record, style)
        text = self.prompt.answer(answer.usable(), **variables)
        messages = (show(record, self.prompt.human(0, **variables)), Message("assistant", text))
        return [Conversation(messages, "findings", (answer.pair,))]
'''
PROMPT = """+++
purpose = "List what is marked."
expects = ["labels"]
frames = true
reply = '''
{"type": "object", "required": ["findings"],
 "properties": {"findings": {"type": "array", "items": {"enum": {{ labels | tojson }}}}}}
'''
human = ["List the findings."]
+++
# user
List what is marked: {{ labels | join(", ") }}. Reply with JSON: {"findings": ["..."]}

# answer
{% for finding in reply.findings %}
- {{ finding }}
{% endfor %}
"""


async def test_a_generator_of_under_forty_lines_works_and_is_gated(tmp_path):
    assert len(GENERATOR.splitlines()) < 40
    (tmp_path / "finding-list.md").write_text(PROMPT, encoding="utf-8")
    scope: dict[str, object] = {"__name__": "finding_list"}
    exec(compile(GENERATOR, "finding_list.py", "exec"), scope)
    kind = scope["FindingList"]
    options = validate(kind.Options, {"prompt": str(tmp_path / "finding-list.md")}, "here")
    generator = kind(options, 7)
    made = await generator.generate(LIVER, Teacher({"findings": ["marked lesion"]}))
    assert made[0].messages[-1].text == "- marked lesion" and made[0].messages[0].num_images == 1
    assert all(gate(LIVER, made[0]).passed for gate in gates_of("finding_list", Bounds()))
