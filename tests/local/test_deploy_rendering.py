"""The pure half of the deployment: names, and definitions with their placeholders filled in."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT

from local.deploy import DeployError, event_pattern, load_contract, placeholder_values, render, resource_names

CONTRACT = {
    "activities": [{"name": "start-wave-v1", "placeholder": "StartWaveV1ActivityArn"}],
    "tables": [{"key": "executionWaves", "name": "execution-waves", "placeholder": "ExecutionWavesTableName"}],
    "stateMachines": [{"name": "recovery", "definition": "recovery.asl.json"}],
}


def test_names_carry_the_prefix() -> None:
    names = resource_names(CONTRACT, "dr-test")
    assert names.tables == {"executionWaves": "dr-test-execution-waves"}
    assert names.activities == {"start-wave-v1": "dr-test-start-wave-v1"}
    assert names.state_machines == {"recovery": "dr-test-recovery"}


def test_every_placeholder_is_filled_in_and_nothing_else_changes() -> None:
    arn = "arn:aws:states:us-west-2:111122223333:activity:dr-test-start-wave-v1"
    values = placeholder_values(CONTRACT, "dr-test", {"start-wave-v1": arn})
    text = """{
      "Resource": "${StartWaveV1ActivityArn}",  "Table": "${ExecutionWavesTableName}",
      "Bus": "${EventBusName}",
      "Token.$": "$$.Task.Token", "Escaped": "$${Kept}"
    }"""
    assert (
        render(text, values)
        == """{
      "Resource": "arn:aws:states:us-west-2:111122223333:activity:dr-test-start-wave-v1",  "Table": "dr-test-execution-waves",
      "Bus": "dr-test",
      "Token.$": "$$.Task.Token", "Escaped": "${Kept}"
    }"""
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "${Missing} ${AlsoMissing}"}', r"unknown placeholder \$\{AlsoMissing\}, \$\{Missing\}"),
        ('{"a": "${}"}', r"unknown placeholder \$\{\}"),
        ('{"a": "%{ if true }"}', "directive"),
        ('{"a": ', "not JSON"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(DeployError, match=message):
        render(text, {})


def test_the_definitions_of_this_repository_render() -> None:
    path = CHECKOUT / "statemachine/contract/contract.json"
    contract = load_contract(path)
    arns = {activity["name"]: f"arn:aws:states:::{activity['name']}" for activity in contract["activities"]}
    values = placeholder_values(contract, "tidegate-local", arns)
    assert contract["stateMachines"]
    for machine in contract["stateMachines"]:
        rendered = render((path.parent.parent / machine["definition"]).read_text(), values)
        assert json.loads(rendered)["StartAt"]


def test_the_rules_of_this_repository_watch_and_start_machines_of_the_deployment() -> None:
    contract = load_contract(CHECKOUT / "statemachine/contract/contract.json")
    names = resource_names(contract, "dr-test")
    arn = "arn:aws:states:us-west-2:111122223333:stateMachine:"
    arns = {name: arn + full for name, full in names.state_machines.items()}
    assert names.rules == {"reconcile": "dr-test-reconcile"}
    (rule,) = contract["rules"]
    assert event_pattern(rule, contract, arns) == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "status": ["ABORTED", "TIMED_OUT", "FAILED"],
            # Its own executions end, too: a rule without this line would start itself for ever.
            "stateMachineArn": ["arn:aws:states:us-west-2:111122223333:stateMachine:dr-test-recovery"],
        },
    }
    assert rule["starts"] in arns


def test_deploying_without_an_endpoint_is_refused() -> None:
    # The same calls with the operator's own credentials would make these tables in a real account.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    script = str(CHECKOUT / "local/deploy.py")
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert (answer.returncode, answer.stderr) == (1, "deploy: AWS_ENDPOINT_URL is not set; source .local/env first\n")
