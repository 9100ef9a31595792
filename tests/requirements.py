"""Holds the list of requirements (requirements.txt) against the ids that code and tests cite.

    python3 tests/requirements.py            the uncited ones, and a summary
    python3 tests/requirements.py --all      every id with the files that cite it

A citation is the bare id in a comment, a docstring or a string: `FR-2.4`, `c-14`, `S002 2.2`, or a range: `AC-5.1..AC-5.5`,
`FR-4.1..4.3`. It fails when an id of an issue that is done is cited nowhere and carries no reason, when somebody cites an id
the list does not have, when a reason points at nothing, and when a line of the list is malformed. Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "requirements.txt"
FOLDERS = ("tests", "workers", "cli", "simulator", "local")
SUFFIXES = (".rs", ".py", ".sh")
FOREIGN = {"target", "__pycache__", ".venv"}
ISSUES = ("2", "3", "4", "out")
DONE = ("2",)

ID = re.compile(
    r"(?<![\w.-])(?:US-\d+A?|(?:AC|FR|NFR|TC)-\d+A?\.\d+|SM-\d+|Risk-\d+|S00[0-4] \d\.\d|S000|c-\d\d[a-d]?)(?![\w-]|\.\d)"
)
# A file a reason points at.
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:rs|py|sh)")
# The rest of a range behind its first id: `..AC-5.5`, `..5.5`, `..5`.
RANGE = re.compile(r"\.\.(?:[A-Za-z]+-)?(?:\d+A?\.)?(\d+)")


@dataclass
class Requirement:
    id: str
    issue: str
    reason: str
    text: str
    cited: list[str] = field(default_factory=list)

    @property
    def is_missing(self) -> bool:
        return self.issue in DONE and not self.cited and not self.reason


def read_list(text: str) -> tuple[list[Requirement], list[str]]:
    """The requirements and what is wrong with the list. A line is `id | issue | reason | text`."""
    requirements: list[Requirement] = []
    wrong: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        place = f"{LIST.name}:{number}"
        if len(cells) != 4:
            wrong.append(f"{place}: expected `id | issue | reason | text`")
            continue
        found = Requirement(*cells)
        if not ID.fullmatch(found.id):
            wrong.append(f"{place}: {found.id!r} is no id this script would find")
        if found.id in seen:
            wrong.append(f"{place}: {found.id} is listed twice")
        if found.issue not in ISSUES:
            wrong.append(f"{place}: the issue is one of {', '.join(ISSUES)}")
        if not found.text:
            wrong.append(f"{place}: {found.id} says nothing")
        if found.issue == "out" and not found.reason:
            wrong.append(f"{place}: {found.id} is out, so it needs a reason")
        seen.add(found.id)
        requirements.append(found)
    return requirements, wrong


def sources() -> dict[str, str]:
    """Every source file that may cite, by its path below the checkout."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and not FOREIGN.intersection(path.parts) and path != Path(__file__).resolve():
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return found


def citations(text: str) -> set[str]:
    """Every id the text cites, ranges spelled out."""
    found = set()
    for match in ID.finditer(text):
        found.add(match.group())
        to = RANGE.match(text, match.end())
        stem, first = re.fullmatch(r"(.*?)(\d*)", match.group()).groups()  # type: ignore[union-attr]
        if to and first:
            found.update(f"{stem}{number:0{len(first)}d}" for number in range(int(first), int(to.group(1)) + 1))
    return found


def attach(requirements: list[Requirement], files: dict[str, str]) -> list[str]:
    """Notes who cites what; returns citations of ids nobody listed."""
    by_id = {requirement.id: requirement for requirement in requirements}
    unknown = []
    for path, text in files.items():
        for found in sorted(citations(text)):
            if found in by_id:
                by_id[found].cited.append(path)
            else:
                unknown.append(f"{path} cites {found}, which {LIST.name} does not list")
    return unknown


def empty_reasons(requirements: list[Requirement]) -> list[str]:
    """Reasons that point at a file that is gone, or at an id that is cited nowhere either."""
    cited = {requirement.id for requirement in requirements if requirement.cited}
    wrong = []
    for requirement in requirements:
        gone = [path for path in PATH.findall(requirement.reason) if not (ROOT / path).is_file()]
        gone += sorted(citations(requirement.reason) - cited)
        wrong += [f"the reason of {requirement.id} points at {what}, which proves nothing" for what in gone]
    return wrong


def main(arguments: list[str]) -> int:
    requirements, wrong = read_list(LIST.read_text(encoding="utf-8"))
    wrong += attach(requirements, sources())
    wrong += empty_reasons(requirements)
    for requirement in requirements:
        if "--all" in arguments and requirement.cited:
            print(f"{requirement.id:10} issue {requirement.issue}  {', '.join(requirement.cited)}")
        elif not requirement.cited and (requirement.issue in DONE or "--all" in arguments):
            why = f"  ({requirement.reason})" if requirement.reason else ""
            print(f"{requirement.id:10} issue {requirement.issue}  uncited: {requirement.text}{why}")
    for line in wrong:
        print(f"wrong: {line}")
    missing = [requirement.id for requirement in requirements if requirement.is_missing]
    listed = Counter(requirement.issue for requirement in requirements)
    cited = Counter(requirement.issue for requirement in requirements if requirement.cited)
    print("; ".join(f"issue {issue}: {cited[issue]} of {listed[issue]} cited" for issue in ISSUES))
    if missing:
        print(f"cited nowhere, and no reason given: {', '.join(missing)}")
    return 1 if missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
