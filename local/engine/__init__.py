"""Strict mode: MiniStack's Step Functions engine with the behaviour of AWS where the two differ.

MiniStack emulates well what a state machine *does*, and forgives what goes wrong: a worker that dies leaves its
execution hanging, a stopped execution lives on, a missing field is null. Those are the cases a recovery tool is written
for, so local runs must show them. This package replaces the functions of `ministack.services.stepfunctions` that decide
them; the upstream package stays untouched on disk.

- `executions`: the life of an execution and of its task tokens: who may still answer, what a clock ends, what is final.
- `paths`: JSONPath, payload templates and ResultPath that refuse a missing field; `choices`: rules of Choice states;
  `intrinsics`: values as AWS was recorded to give them.
- `tasks`: walking the states; Task attempts, timeouts, Retry and Catch; Wait.
- `activities`: the queues that workers poll.
- `api`: the calls a client makes, and their refusals; `events`: what others are told.
- `browsers`: no web page is answered. `access`: who calls what, of every service: a ledger for the tests of rights, and IAM for users' own keys.
- `account`: validation of definitions, and IAM's simulator.
- `eventbus`: EventBridge's entries and input templates. `readings`: where AWS's sources differ.

What stays upstream's: JSONata, other intrinsics, Pass, Parallel, Map and all service integrations. No file here may start a
process or know about Tidegate.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

PINNED_MINISTACK = "1.5.33"

# What the replacements call in turn. Listed so that a missing one is named at start, not in the middle of a drill.
_CALLED = (
    "_activities", "_activity_tasks", "_apply_catcher", "_apply_input_path", "_apply_jsonata_arguments",
    "_apply_jsonata_output", "_apply_jsonata_template", "_apply_output_path", "_apply_parameters", "_apply_result_path",
    "_apply_state_assign", "_emit_execution_status_event", "_execute_choice", "_execute_map", "_execute_parallel",
    "_execute_pass", "_executions", "_eval_intrinsic_arg", "_exec_intrinsic", "_fail_state_field", "_find_matching_catcher",
    "_find_matching_retrier", "_invoke_resource", "_next_or_end", "_parse_intrinsic_call",
    "_parse_jsonpath_tokens", "_parse_ts", "_resolve_path_or_ctx", "_resolve_state_machine_arn",
    "_state_machines", "_state_query_language", "_task_tokens", "_ExecutionError", "_SFN_WAIT_SCALE", "logger",
    "_create_activity", "_create_state_machine", "_execute_wait", "_start_execution", "_update_state_machine", "reset",
    "_iso_to_epoch_ms", "_STATUS_EVENT_PAYLOAD_CAP",
)  # fmt: skip


class IncompatibleEngine(Exception):
    """The installed MiniStack is not the one these replacements were written against."""


def install() -> None:
    """Replace the engine's functions, or refuse as a whole when one of them is not what we know."""
    import ministack.services.stepfunctions as sfn

    missing = [name for name in _CALLED if not hasattr(sfn, name)]
    if missing:
        raise IncompatibleEngine(f"its Step Functions engine has no {', '.join(missing)}")

    from ministack.services import eventbridge

    from local.engine import activities, api, choices, eventbus, events, executions, intrinsics, paths, tasks

    of_step_functions: dict[str, Callable[..., Any]] = {
        **executions.REPLACEMENTS, **paths.REPLACEMENTS, **choices.REPLACEMENTS, **intrinsics.REPLACEMENTS,
        **tasks.REPLACEMENTS, **activities.REPLACEMENTS, **api.REPLACEMENTS, **events.REPLACEMENTS,
    }  # fmt: skip
    replacements = [(sfn, of_step_functions), (eventbridge, eventbus.REPLACEMENTS)]
    for module, functions in replacements:
        for name, replacement in functions.items():
            _check_signature(module, name, replacement)
    for module, functions in replacements:
        for name, replacement in functions.items():
            setattr(module, name, replacement)
    sfn._executions = executions.ExecutionStore()

    from local.engine import account

    account.install()


def _check_signature(module: ModuleType, name: str, replacement: Callable[..., Any]) -> None:
    upstream = getattr(module, name, None)
    if not callable(upstream):
        raise IncompatibleEngine(f"its {module.__name__} has no function {name}")
    known, found = list(inspect.signature(replacement).parameters), list(inspect.signature(upstream).parameters)
    if known != found:
        raise IncompatibleEngine(f"{name} takes ({', '.join(found)}), expected ({', '.join(known)})")
