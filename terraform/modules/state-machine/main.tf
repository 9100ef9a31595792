# One Standard state machine with its role, its log and an alias. Every apply that changes the definition publishes a
# version; executions in flight keep the one they started with.

resource "aws_iam_role" "this" {
  name               = var.role_name
  description        = "Tidegate: what the state machine ${var.name} itself may do."
  assume_role_policy = var.trust_policy
}

resource "aws_iam_role_policy" "this" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.this.name
  policy = each.value
}

resource "aws_cloudwatch_log_group" "this" {
  name              = var.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sfn_state_machine" "this" {
  name       = var.name
  type       = "STANDARD"
  role_arn   = aws_iam_role.this.arn
  definition = var.definition
  publish    = true

  logging_configuration {
    level           = var.log_level
    log_destination = "${aws_cloudwatch_log_group.this.arn}:*"
    # Not a variable: the data of a gate's state holds its task token, and a token must never reach a log. The data of
    # every run is in the execution history (90 days) and in the tables.
    include_execution_data = false
  }

  dynamic "tracing_configuration" {
    for_each = var.tracing_enabled == null ? [] : [var.tracing_enabled]
    content {
      enabled = tracing_configuration.value
    }
  }

  # No customer managed key: with one, the status-change events that start the reconcile machine lose error and cause.

  # Step Functions checks at creation that the role may deliver logs.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_sfn_alias" "this" {
  name        = var.alias_name
  description = "The version applied last."

  routing_configuration {
    state_machine_version_arn = aws_sfn_state_machine.this.state_machine_version_arn
    weight                    = 100
  }
}
