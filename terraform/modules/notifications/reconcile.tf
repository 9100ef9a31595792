# StopExecution, the machine's own timeout and runtime failures skip every Catch, Finalize included: the record would say
# POLLING for ever and the servers stay locked. This rule starts the machine that runs Finalize for them.

locals {
  # The local deploy makes its rule from the same lines.
  reconcile_rule    = one([for rule in local.contract.rules : rule if rule.name == "reconcile"])
  reconcile_pattern = jsondecode(replace(jsonencode(local.reconcile_rule.eventPattern), "$${RecoveryStateMachineArn}", var.recovery_state_machine_arn))
}

resource "aws_cloudwatch_event_rule" "reconcile" {
  name        = "${var.name_prefix}-${local.reconcile_rule.name}"
  description = "An execution ended other than SUCCEEDED: its record and locks are made to agree."
  # The contract's pattern, and the same for ARNs with a qualifier: see of_recovery_machine.
  event_pattern = jsonencode(merge(local.reconcile_pattern, {
    detail = merge(local.reconcile_pattern.detail, {
      stateMachineArn = concat(local.reconcile_pattern.detail.stateMachineArn, [local.of_recovery_machine[1]])
    })
  }))
  tags = var.tags
}

resource "aws_cloudwatch_event_target" "reconcile" {
  rule      = aws_cloudwatch_event_rule.reconcile.name
  target_id = "reconcile"
  arn       = var.reconcile_state_machine_arn
  role_arn  = aws_iam_role.reconcile.arn

  # EventBridge's own most: a day and 185 tries. After that the event waits in the queue for a person.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_iam_role_policy.reconcile, aws_sqs_queue_policy.undelivered]
}

resource "aws_iam_role" "reconcile" {
  name        = "${var.name_prefix}-reconcile-rule"
  description = "EventBridge starts the reconcile state machine."
  assume_role_policy = templatefile("${path.module}/policies/trust-rules.json.tftpl", {
    rule_arns = [aws_cloudwatch_event_rule.reconcile.arn]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "reconcile" {
  name = "start-reconcile"
  role = aws_iam_role.reconcile.id
  policy = templatefile("${path.module}/policies/start-reconcile.json.tftpl", {
    # StartExecution through an alias is authorised on the unqualified ARN (developer guide, "Authorization for versions and
    # aliases").
    state_machine_arn = join(":", slice(split(":", var.reconcile_state_machine_arn), 0, 7))
  })
}

resource "aws_sqs_queue" "undelivered" {
  name                              = "${var.name_prefix}-undelivered-events"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 300
  tags                              = var.tags
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id
  policy = templatefile("${path.module}/policies/queue.json.tftpl", {
    queue_arn = aws_sqs_queue.undelivered.arn
    rule_arns = sort(concat(
      [for rule in aws_cloudwatch_event_rule.told : rule.arn],
      [aws_cloudwatch_event_rule.reconcile.arn],
      # Beside a rule of the same bus, whose ARN differs in the name alone.
      [for name in var.other_rules : replace(aws_cloudwatch_event_rule.told["paused"].arn, "/[^/]+$/", "${var.name_prefix}-${name}")],
    ))
  })
}
