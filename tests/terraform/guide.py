"""The commands of docs/deployment.md, read as a person reads them: shell blocks, and how each is marked.

A block with `<!-- tested -->` before it is run; `<!-- tested: WHEN -->` says when. What the guide does to dev is done to `local`.
"""

from __future__ import annotations

import os
import re
import subprocess

from configuration import CHECKOUT
from deployment import BINARIES, Deployment
from linters import TOOLS

GUIDE = CHECKOUT / "docs" / "deployment.md"
_BLOCK = re.compile(r"(?:<!-- tested(?:: (?P<when>[a-z ]+))? -->\n)```sh\n(?P<text>.*?)```", re.DOTALL)


def blocks(when: str = "") -> list[str]:
    """The tested blocks of one kind, in order."""
    return [match["text"] for match in _BLOCK.finditer(GUIDE.read_text()) if (match["when"] or "") == when]


def run(deployment: Deployment, text: str) -> str:
    """Runs a block as typed at a prompt whose answers to Terraform are yes; returns what it printed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TIDEGATE_"))},
        **deployment.engines.environment,
        **deployment.terraform.environment,
        "PATH": os.pathsep.join([str(BINARIES), str(TOOLS / "bin"), os.environ["PATH"]]),
        "TF_CLI_ARGS_apply": "-auto-approve -input=false -no-color",
        "TF_CLI_ARGS_destroy": "-auto-approve -input=false -no-color",
        "AWS_ENDPOINT_URL": deployment.engines.endpoint,
    }
    script = text.replace("terraform/environments/dev", "terraform/environments/local")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=deployment.copy, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
