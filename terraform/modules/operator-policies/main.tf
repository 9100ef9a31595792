# What people may do, one managed policy per task, so that the one who starts a recovery and the one who approves its gates
# can be two people. Attach them to roles or permission sets; this module attaches nothing.

locals {
  values = {
    recovery_arn          = var.recovery_state_machine_arn
    recovery_executions   = "${replace(var.recovery_state_machine_arn, ":stateMachine:", ":execution:")}:*"
    reconcile_arn         = var.reconcile_state_machine_arn
    reconcile_executions  = "${replace(var.reconcile_state_machine_arn, ":stateMachine:", ":execution:")}:*"
    alias                 = var.state_machine_alias
    history_arn           = lookup(var.table_arns, "executionHistory", "")
    waves_arn             = lookup(var.table_arns, "executionWaves", "")
    requests_arn          = lookup(var.table_arns, "executionRequests", "")
    gates_arn             = lookup(var.table_arns, "executionGates", "")
    plans_arn             = lookup(var.table_arns, "recoveryPlans", "")
    groups_arn            = lookup(var.table_arns, "protectionGroups", "")
    deny_approval         = var.starters_may_not_approve
    approval_needs_mfa    = var.approvers_need_mfa
    approval_source_cidrs = sort(var.approver_source_cidrs)
    kms_key_arn           = var.kms_key_arn
    region                = split(":", var.recovery_state_machine_arn)[3]
  }

  # Statements that several policies begin with: who acts must see what on.
  shared = {
    read_records      = templatefile("${path.module}/policies/fragments/read-records.json.tftpl", local.values)
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
