# Who is told what. People: a topic, and a rule for each thing worth being told at night. The machine: the reconcile rule,
# which mends the record of an execution that ended without its Finalize. What could not be delivered waits in one queue.

locals {
  contract = jsondecode(file("${path.module}/../../../statemachine/contract/contract.json"))

  # An execution started through a version or alias has the unqualified ARN in stateMachineArn (developer guide, "How Step
  # Functions associates executions with a version or alias"). The prefix costs nothing and holds should that ever differ.
  of_recovery_machine = [
    var.recovery_state_machine_arn,
    { prefix = "${var.recovery_state_machine_arn}:" },
  ]

  # Step Functions adds the execution's ARN to the resources of an event that a state sends (developer guide, "Add EventBridge
  # events with Step Functions"). It proves nothing by itself, since a sender may name any resources: the bus's policy does.
  of_recovery_executions = var.events_name_executions ? {
    resources = [{ prefix = "${replace(var.recovery_state_machine_arn, ":stateMachine:", ":execution:")}:" }]
  } : {}

  # EventBridge does not escape what it puts into a template (user guide, "Common issues with transforming input"), and a text
  # that is no JSON any more may never arrive. So only what holds neither quotes nor line breaks is spliced in: ids, numbers,
  # statuses, the machine's own reasons and error names. What people write (names of waves, causes, what is given to
  # StopExecution) is read with `tidegate show`.
  announcements = {
    "Tidegate Execution Paused" = {
      rule        = "paused"
      description = "An execution waits at a gate for a person's word."
      paths = {
        execution = "$.detail.executionId"
        plan      = "$.detail.planId"
        type      = "$.detail.executionType"
        wave      = "$.detail.waveNumber"
        reason    = "$.detail.reason"
      }
      lines = [
        "Tidegate: <type> <execution> of plan <plan> is PAUSED before wave <wave>: <reason>",
        "Look:     tidegate show <execution>",
        "Go on:    tidegate resume <execution>",
        "Refuse:   tidegate decline <execution> --reason WHY",
      ]
    }
    "Tidegate Decision Needed" = {
      rule        = "decision-needed"
      description = "A wave failed and its plan asks for a decision."
      paths = {
        execution = "$.detail.executionId"
        plan      = "$.detail.planId"
        type      = "$.detail.executionType"
        wave      = "$.detail.waveNumber"
        reason    = "$.detail.reason"
      }
      lines = [
        "Tidegate: wave <wave> of <type> <execution>, plan <plan>, needs a DECISION: <reason>",
        "Look:     tidegate show <execution>",
        "Decide:   tidegate resume <execution> --decision retry|skip|continue|abort",
      ]
    }
    "Tidegate Cleanup Failed" = {
      rule        = "cleanup-failed"
      description = "A drill's instances could not be terminated and may cost money."
      paths = {
        execution = "$.detail.executionId"
        plan      = "$.detail.planId"
      }
      lines = [
        "Tidegate: the CLEANUP FAILED of drill <execution>, plan <plan>",
        "Its instances may still run. Look: tidegate show <execution>",
        "Once the execution has ended: tidegate reconcile <execution> --clean-up",
      ]
    }
  }

  endings = merge({
    failed = {
      statuses    = ["FAILED", "TIMED_OUT"]
      description = "An execution ended other than SUCCEEDED: refused, partial, failed, cancelled or timed out."
      paths = {
        execution = "$.detail.name"
        status    = "$.detail.status"
        error     = "$.detail.error"
      }
      lines = [
        "Tidegate: execution <execution> ended <status> <error>",
        "Why: tidegate show <execution>",
      ]
    }
    stopped = {
      statuses    = ["ABORTED"]
      description = "Somebody stopped an execution."
      paths = {
        execution = "$.detail.name"
        status    = "$.detail.status"
      }
      lines = [
        "Tidegate: execution <execution> was stopped (<status>)",
        "Why: tidegate show <execution>",
      ]
    }
    }, var.announce_succeeded ? {
    succeeded = {
      statuses    = ["SUCCEEDED"]
      description = "An execution ended SUCCEEDED."
      paths = {
        execution = "$.detail.name"
        status    = "$.detail.status"
      }
      lines = [
        "Tidegate: execution <execution> ended <status>",
        "Look: tidegate show <execution>",
      ]
    }
  } : {})

  # A detail type that the contract names and this module has no words for fails here, at plan time.
  from_machine = { for type in local.contract.events.detailTypes : local.announcements[type].rule => merge(local.announcements[type], {
    bus     = var.event_bus_name
    pattern = jsonencode(merge({ source = [local.contract.events.source], detail-type = [type] }, local.of_recovery_executions))
  }) }

  from_states = { for name, ending in local.endings : name => merge(ending, {
    bus = "default"
    pattern = jsonencode({
      source      = ["aws.states"]
      detail-type = ["Step Functions Execution Status Change"]
      detail      = { status = ending.statuses, stateMachineArn = local.of_recovery_machine }
    })
  }) }

  told = merge(local.from_machine, local.from_states)
}

resource "aws_sns_topic" "this" {
  name              = "${var.name_prefix}-notifications"
  display_name      = "Tidegate"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = templatefile("${path.module}/policies/topic.json.tftpl", {
    topic_arn         = aws_sns_topic.this.arn
    alarm_arn_pattern = "${replace(join(":", slice(split(":", aws_sns_topic.this.arn), 0, 5)), ":sns:", ":cloudwatch:")}:alarm:${var.name_prefix}-*"
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.email_subscriptions

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_event_rule" "told" {
  for_each = local.told

  name           = "${var.name_prefix}-${each.key}"
  description    = each.value.description
  event_bus_name = each.value.bus
  event_pattern  = each.value.pattern
  tags           = var.tags
}

resource "aws_cloudwatch_event_target" "told" {
  for_each = local.told

  rule           = aws_cloudwatch_event_rule.told[each.key].name
  event_bus_name = each.value.bus
  target_id      = "topic"
  arn            = aws_sns_topic.this.arn
  role_arn       = aws_iam_role.publish.arn

  # Only what is named here leaves: no input, no output, and there is no token in these events to begin with.
  input_transformer {
    input_paths = each.value.paths
    # Each line is a JSON string of its own, which is how EventBridge writes text of several lines. jsonencode would turn
    # the angle brackets of its placeholders into \u003c.
    input_template = join("\n", [for line in each.value.lines : "\"${line}\""])
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_iam_role_policy.publish, aws_sqs_queue_policy.undelivered]
}

# A role and not the topic's policy: EventBridge sends no aws:SourceArn to SNS, so a policy that let the service publish
# could not be limited to these rules (user guide, "Using resource-based policies": no Condition in topic policies). The
# role's trust policy can.
resource "aws_iam_role" "publish" {
  name        = "${var.name_prefix}-notifications-rule"
  description = "EventBridge publishes what people are told."
  assume_role_policy = templatefile("${path.module}/policies/trust-rules.json.tftpl", {
    rule_arns = sort([for rule in aws_cloudwatch_event_rule.told : rule.arn])
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "publish" {
  name = "publish"
  role = aws_iam_role.publish.id
  policy = templatefile("${path.module}/policies/publish.json.tftpl", {
    topic_arn   = aws_sns_topic.this.arn
    region      = split(":", var.recovery_state_machine_arn)[3]
    kms_key_arn = var.kms_key_arn
  })
}
