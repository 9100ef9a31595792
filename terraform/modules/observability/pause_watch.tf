# While an execution is PAUSED nothing of Tidegate runs: no task, no worker, no poll, so no metric either, and an event says
# only that it began. A small machine waits instead of a person: one execution per gate, four state transitions unless the
# gate stands too long. Why not in the workers: they would have to scan the table every few minutes for ever.

locals {
  gate_events = ["Tidegate Execution Paused", "Tidegate Decision Needed"]
}

resource "aws_sfn_state_machine" "pause_watch" {
  name     = "${var.name_prefix}-pause-watch"
  role_arn = aws_iam_role.pause_watch.arn
  definition = templatefile("${path.module}/pause-watch.asl.json", {
    ExecutionHistoryTableName = var.execution_history_table.name
    Namespace                 = local.namespace
    Partition                 = split(":", var.recovery_state_machine_arn)[1]
    PausedSeconds             = var.paused_minutes * 60 - 60
    RepeatSeconds             = 900
  })
  tags = var.tags

  depends_on = [aws_iam_role_policy.pause_watch]
}

resource "aws_iam_role" "pause_watch" {
  name               = "${var.name_prefix}-pause-watch"
  description        = "The pause watch asks whether a gate still stands, and counts it."
  assume_role_policy = templatefile("${path.module}/policies/trust.json.tftpl", { service = "states.amazonaws.com", source_arn = replace(var.recovery_state_machine_arn, "/:[^:]+$/", ":${var.name_prefix}-pause-watch") })
  tags               = var.tags
}

resource "aws_iam_role_policy" "pause_watch" {
  name = "watch"
  role = aws_iam_role.pause_watch.id
  policy = templatefile("${path.module}/policies/pause-watch.json.tftpl", {
    table_arn = var.execution_history_table.arn
    namespace = local.namespace
    region    = var.region

    kms_key_arn = var.kms_key_arn
  })
}

resource "aws_cloudwatch_event_rule" "gate_opened" {
  name           = "${var.name_prefix}-gate-opened"
  description    = "A gate opened: the pause watch begins."
  event_bus_name = var.event_bus_name
  # Step Functions adds the execution's ARN to an event's resources (developer guide, "Add EventBridge events"). That
  # nobody else sends one is the bus's policy (module event-bus).
  event_pattern = jsonencode(merge(
    { source = [local.contract.events.source], detail-type = local.gate_events },
    var.events_name_executions ? { resources = [{ prefix = "${replace(var.recovery_state_machine_arn, ":stateMachine:", ":execution:")}:" }] } : {},
  ))
  tags = var.tags

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.gate_events, local.contract.events.detailTypes)) == 0
      error_message = "The contract no longer names the events that begin a pause."
    }
  }
}

resource "aws_cloudwatch_event_target" "gate_opened" {
  rule           = aws_cloudwatch_event_rule.gate_opened.name
  event_bus_name = var.event_bus_name
  target_id      = "pause-watch"
  arn            = aws_sfn_state_machine.pause_watch.arn
  role_arn       = aws_iam_role.gate_opened.arn

  # Later than the pause itself the watch would be late anyway.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = var.undelivered_queue_arn == null ? [] : [var.undelivered_queue_arn]

    content {
      arn = dead_letter_config.value
    }
  }

  depends_on = [aws_iam_role_policy.gate_opened]
}

resource "aws_iam_role" "gate_opened" {
  name               = "${var.name_prefix}-pause-watch-rule"
  description        = "EventBridge starts the pause watch."
  assume_role_policy = templatefile("${path.module}/policies/trust.json.tftpl", { service = "events.amazonaws.com", source_arn = aws_cloudwatch_event_rule.gate_opened.arn })
  tags               = var.tags
}

resource "aws_iam_role_policy" "gate_opened" {
  name   = "start-pause-watch"
  role   = aws_iam_role.gate_opened.id
  policy = templatefile("${path.module}/policies/start-pause-watch.json.tftpl", { state_machine_arn = aws_sfn_state_machine.pause_watch.arn })
}
