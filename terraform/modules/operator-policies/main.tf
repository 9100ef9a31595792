# What people may do, one managed policy per task, so that the one who starts a recovery and the one who approves its gates
# can be two people. Attach them to roles or permission sets; this module attaches nothing.

locals {
  # Top-level attributes of a record, from the contract's schema, but for the gate with its task token. IAM knows attributes by
  # their top-level names only: gate.reason cannot be had without gate.token.
  record_schema = jsondecode(file("${path.module}/../../../statemachine/contract/schemas/execution-record.schema.json"))
  open_attributes = setsubtract(
    concat(keys(local.record_schema.properties), ["expiresAt"]),
    ["gate"],
  )

  values = {
    recovery_arn          = var.recovery_state_machine_arn
    recovery_executions   = "${replace(var.recovery_state_machine_arn, ":stateMachine:", ":execution:")}:*"
    reconcile_arn         = var.reconcile_state_machine_arn
    reconcile_executions  = "${replace(var.reconcile_state_machine_arn, ":stateMachine:", ":execution:")}:*"
    alias                 = var.state_machine_alias
    history_arn           = lookup(var.table_arns, "executionHistory", "")
    waves_arn             = lookup(var.table_arns, "executionWaves", "")
    plans_arn             = lookup(var.table_arns, "recoveryPlans", "")
    groups_arn            = lookup(var.table_arns, "protectionGroups", "")
    open_attributes       = sort(local.open_attributes)
    gate_visible          = var.gate_visible_to_all
    deny_approval         = var.starters_may_not_approve
    approval_needs_mfa    = var.approvers_need_mfa
    approval_source_cidrs = sort(var.approver_source_cidrs)
    kms_key_arn           = var.kms_key_arn
    region                = split(":", var.recovery_state_machine_arn)[3]
  }

  # Statements that several policies begin with: who acts must see what on.
  shared = {
    read_records      = templatefile("${path.module}/policies/fragments/read-records${var.gate_visible_to_all ? "" : "-without-gate"}.json.tftpl", local.values)
    follow_executions = templatefile("${path.module}/policies/fragments/follow-executions.json.tftpl", local.values)
    use_tables_key    = var.kms_key_arn == null ? "" : templatefile("${path.module}/policies/fragments/use-tables-key.json.tftpl", local.values)
  }

  policies = {
    start     = "Starts recoveries and drills, and follows them."
    approve   = "Answers gates: resume, decline, decide."
    request   = "Asks for a pause or the end of an execution."
    reconcile = "Makes records agree with executions that ended without Finalize."
    read-only = "Sees plans, executions and their servers."
  }
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name        = "${var.name_prefix}-${each.key}"
  description = each.value
  # Decoded and encoded: what is not JSON fails here, and white space does not count against IAM's 6,144 characters.
  policy = jsonencode(jsondecode(templatefile("${path.module}/policies/${each.key}.json.tftpl", merge(local.values, local.shared))))
  tags   = var.tags
}
