"""What a deployment is asked about before its first run: are the definitions valid, and may the roles do what they must?

Upstream calls every definition valid without reading it, and denies everything to a role that does not exist. Both would
be believed (Terraform's provider validates before it creates). IAM's evaluator itself is upstream's, and real; it is given the context entries that upstream leaves out.
"""

from __future__ import annotations

import json
from typing import Any

import ministack.services.iam as iam
import ministack.services.stepfunctions as sfn
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, json_response

from local.engine import api

Response = tuple[int, dict[str, str], bytes]

_TRANSITIONS_ONLY = "This engine checks transitions; on AWS fields, integrations and their parameters are checked, too."
_DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}


def validate_state_machine_definition(data: dict[str, Any]) -> Response:
    """What CreateStateMachine here refuses is FAIL. The rest is OK with a warning, which Terraform does not ask for."""
    refused = api.refused_definition(str(data.get("definition", "")))
    if refused is not None:
        said = json.loads(refused[2])
        diagnostics = [{"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": said["message"]}]
        return json_response({"result": "FAIL", "diagnostics": diagnostics})
    known = {"severity": "WARNING", "code": "TRANSITIONS_ONLY", "message": _TRANSITIONS_ONLY}
    return json_response({"result": "OK", "diagnostics": [known] if data.get("severity") == "WARNING" else []})


def simulate_principal_policy(params: dict[str, Any]) -> Response:
    principal, account = str(iam._p(params, "PolicySourceArn")), get_account_id()
    kind, _, name = principal.rpartition(":")[2].partition("/")
    name = name.rpartition("/")[2]  # a role's path is no part of its name
    if kind != "role" or iam._roles.get_scoped(account, None, name) is None:
        message = f"The role with name {name} cannot be found."
        return iam._error(404, "NoSuchEntity", message, ns="iam")  # type: ignore[no-any-return]
    policies = iam_evaluator._gather_role_policies(name, account)
    actions, resource = iam._extract_simulate_params(params)
    context = _context_entries(params)
    members = ""
    for action in actions:
        asked = iam_evaluator.EvalContext(
            principal_arn=principal, principal_type="AssumedRole", principal_account=account, action=action,
            resource_arn=resource, region=context.get("aws:requestedregion", get_region()), source_ip="127.0.0.1",
            secure_transport=True, service_context=context,
        )  # fmt: skip
        evaluated = iam_evaluator.evaluate(asked, policies).decision if policies else ""
        decision = _DECISIONS.get(evaluated, "implicitDeny")
        members += (
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision></member>"
        )
    result = f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
    wrapped = f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>"
    return iam._xml(200, "SimulatePrincipalPolicyResponse", wrapped, ns="iam")  # type: ignore[no-any-return]


def _context_entries(params: dict[str, Any]) -> dict[str, Any]:
    """Condition keys in lower case, as the evaluator looks them up; a list stays a list, which plain operators never match."""
    entries: dict[str, Any] = {}
    number = 1
    while key := iam._p(params, f"ContextEntries.member.{number}.ContextKeyName"):
        values: list[str] = []
        while value := iam._p(params, f"ContextEntries.member.{number}.ContextKeyValues.member.{len(values) + 1}"):
            values.append(value)
        kind = iam._p(params, f"ContextEntries.member.{number}.ContextKeyType")
        entries[key.lower()] = values if kind.endswith("List") else values[0]
        number += 1
    return entries


def install() -> None:
    """Replaces both; refuses what is not as we know it, as the engine's own installation does."""
    from local.engine import IncompatibleEngine, _check_signature

    handlers = getattr(iam, "_IAM_HANDLERS", {})
    if "SimulatePrincipalPolicy" not in handlers:
        raise IncompatibleEngine("its IAM has no handler of SimulatePrincipalPolicy")
    name = "_validate_state_machine_definition"
    _check_signature(sfn, name, validate_state_machine_definition)
    setattr(sfn, name, validate_state_machine_definition)
    handlers["SimulatePrincipalPolicy"] = simulate_principal_policy
