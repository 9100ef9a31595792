"""Runs what CI runs and ends with one line: `N passed, N failed, N skipped`.

Five parts: lint, rust, python, terraform, rights; name some to run only those. Rights evaluates the calls that the two parts
before it recorded, so it comes last. A part that cannot even start counts as a failure.
In CI a skipped test is a failure, because a skip there hides a missing tool (none is listed as allowed today). Standard
library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Ledgers of calls by part, and the policies Terraform rendered.
CALLS = ROOT / ".local" / "calls"
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
# Seeds of the simulation that no run had before this commit: one in so many finds what the fixed ones cannot.
FRESH_SEEDS = 2_000
# Above every seed a person names, and above the fixed ones (1 to 20,000, tests/simulation/tests/seeds.rs).
FIRST_FRESH_SEED = 1_000_000_001
# What the simulation runs.
SIMULATED = ("statemachine", "simulator", "workers", "tests/simulation")


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: "Tally") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def run(argv: list[str], **variables: str) -> tuple[int, str]:
    """Runs a command with its output shown and returned."""
    print(f"\n$ {' '.join(argv)}", flush=True)
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        print(f"{argv[0]} is not installed; the README names the prerequisites", flush=True)
        return 127, ""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        print(line, end="", flush=True)
    code = process.wait()
    print(f"# exit {code} after {time.monotonic() - began:.0f} s", flush=True)
    return code, "".join(lines)


def step(argv: list[str], **variables: str) -> Tally:
    """A check that either holds or does not."""
    code, _ = run(argv, **variables)
    return Tally(passed=1) if code == 0 else Tally(failed=1)


def count(pattern: str, text: str) -> int:
    return sum(int(number) for number in re.findall(pattern, text))


def counted(code: int, tally: Tally) -> Tally:
    """A runner that failed without naming a failed test, or that had none, is one failure."""
    if (code != 0 and tally.failed == 0) or tally.passed + tally.failed + tally.skipped == 0:
        tally.failed += 1
    return tally


def lint() -> Tally:
    tally = step(["cargo", "fmt", "--all", "--check"])
    tally.add(step(["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    tally.add(step([sys.executable, "tests/requirements.py"]))
    return tally


def rust() -> Tally:
    tally = rust_tests()
    tally.add(fresh_seeds())
    return tally


def rust_tests() -> Tally:
    if shutil.which("cargo-nextest"):
        code, text = run(["cargo", "nextest", "run", "--locked", "--workspace", "--no-fail-fast"])
        summary = text[text.rfind("Summary [") :] if "Summary [" in text else ""
        first = summary.splitlines()[0] if summary else ""
        return counted(
            code,
            Tally(count(r"(\d+) passed", first), count(r"(\d+) failed", first), count(r"(\d+) skipped", first)),
        )
    code, text = run(["cargo", "test", "--locked", "--workspace", "--no-fail-fast"])
    results = "\n".join(line for line in text.splitlines() if line.startswith("test result:"))
    return counted(
        code,
        Tally(count(r"(\d+) passed", results), count(r"(\d+) failed", results), count(r"(\d+) ignored", results)),
    )


def fresh_seeds() -> Tally:
    """The fixed seeds of the Rust tests are a regression test; these search. The command that is printed runs them again."""
    what, digest = origin()
    print(f"\nfresh seeds of the simulation, drawn from {what} {digest}:", flush=True)
    return step(["make", "sim", f"FROM={first_fresh_seed(digest)}", f"SEEDS={FRESH_SEEDS}"])


def first_fresh_seed(digest: str) -> int:
    """Stretches of two digests are the same or do not touch."""
    return FIRST_FRESH_SEED + int(digest[:8], 16) * FRESH_SEEDS


def origin() -> tuple[str, str]:
    """What the fresh seeds are drawn from, and its digest in hexadecimal."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--verify", "HEAD"]
    try:
        head = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        head = ""
    if head:
        return "commit", head
    sources = hashlib.sha256()
    for path in sorted(path for top in SIMULATED for kind in ("*.rs", "*.json") for path in (ROOT / top).rglob(kind)):
        sources.update(path.read_bytes())
    return "the sources, because there is no git metadata:", sources.hexdigest()


def python() -> Tally:
    tally = prepared("local/venv.sh")
    if tally.failed:
        return tally
    others = ("--ignore=tests/terraform", "--ignore=tests/rights")
    tally.add(pytest("tests", *others, "-n", "4", "--dist", "worksteal", TIDEGATE_CALLS=recorded("python")))
    return tally


def terraform() -> Tally:
    """What ships as Terraform code, the image and their guide. A file is one process's: its tests share what they deployed."""
    tally = prepared("local/venv.sh", "tests/terraform/tools.sh")
    if tally.failed:
        return tally
    tally.add(pytest("tests/terraform", "-n", "3", "--dist", "loadfile", TIDEGATE_CALLS=recorded("terraform")))
    return tally


def rights() -> Tally:
    """Every call of every process against the rendered policies."""
    tally = Tally()
    for script in ("local/venv.sh", "tests/terraform/tools.sh"):
        tally.add(step(["bash", script]))
    if not tally.failed:
        tally.add(pytest("tests/rights", TIDEGATE_CALLS=str(CALLS)))
    return tally


def recorded(part: str) -> str:
    """An empty folder for the ledgers of a part: what an earlier run called says nothing of this one."""
    folder = CALLS / part
    shutil.rmtree(folder, ignore_errors=True)
    CALLS.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(parents=True)
    return str(folder)


def prepared(*scripts: str) -> Tally:
    tally = Tally()
    for script in scripts:
        tally.add(step(["bash", script]))
    tally.add(step(["cargo", "build", "--locked", "--workspace"]))
    return tally


def pytest(*arguments: str, **variables: str) -> Tally:
    code, text = run([str(VENV_PYTHON), "-m", "pytest", *arguments, "-q"], **variables)
    last = next((line for line in reversed(text.splitlines()) if re.search(r"\d+ (passed|failed|error|skipped)", line)), "")
    failed = count(r"(\d+) failed", last) + count(r"(\d+) errors?", last)
    skipped = count(r"(\d+) skipped", last) + count(r"(\d+) xfailed", last)
    return counted(code, Tally(count(r"(\d+) passed", last), failed, skipped))


PARTS = {"lint": lint, "rust": rust, "python": python, "terraform": terraform, "rights": rights}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown part {', '.join(unknown)}; use {', '.join(PARTS)}", file=sys.stderr)
        return 2
    total = Tally()
    for name in names or list(PARTS):
        part = PARTS[name]()
        print(f"\n{name}: {part.passed} passed, {part.failed} failed, {part.skipped} skipped", flush=True)
        total.add(part)
    if os.environ.get("CI") and total.skipped:
        print("a skip is a failure in CI", flush=True)
        total.failed += total.skipped
        total.skipped = 0
    print(f"\n{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
