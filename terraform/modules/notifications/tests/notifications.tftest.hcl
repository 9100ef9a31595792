mock_provider "aws" {
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:111122223333:tidegate-test-notifications" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:111122223333:tidegate-test-undelivered-events"
      id  = "https://sqs.eu-west-1.amazonaws.com/111122223333/tidegate-test-undelivered-events"
    }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/tidegate-test-mocked" }
  }
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/tidegate-test-reconcile-rule"
      id  = "tidegate-test-reconcile-rule"
    }
  }
}

variables {
  name_prefix                 = "tidegate-test"
  event_bus_name              = "tidegate-test"
  recovery_state_machine_arn  = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery"
  reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile:live"
}

run "every_event_of_the_contract_is_announced" {
  command = plan

  assert {
    condition = toset([for rule in aws_cloudwatch_event_rule.told : jsondecode(rule.event_pattern)["detail-type"][0]]) == toset(concat(
      jsondecode(file("../../../statemachine/contract/contract.json")).events.detailTypes,
      ["Step Functions Execution Status Change"],
    ))
    error_message = "a detail type of the contract has no rule, or a rule has none"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.told["paused"].event_pattern).source == ["tidegate"]
    error_message = "our own events have the contract's source"
  }
}

run "only_events_of_this_deployment_are_told" {
  command = plan

  assert {
    condition = alltrue([for name in ["paused", "decision-needed", "cleanup-failed"] :
      jsondecode(aws_cloudwatch_event_rule.told[name].event_pattern).resources == [{ prefix = "arn:aws:states:eu-west-1:111122223333:execution:tidegate-test-recovery:" }]
    ])
    error_message = "people are told of another deployment's gates"
  }
}

run "where_events_name_no_execution_all_are_told" {
  command = plan
  variables { events_name_executions = false }

  assert {
    condition     = !can(jsondecode(aws_cloudwatch_event_rule.told["paused"].event_pattern).resources)
    error_message = "the local stack's events have no resources"
  }
}

run "with_a_key_whose_policy_names_nobody_rules_can_still_publish" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d"
    other_rules = ["gate-opened"]
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.publish.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if contains(flatten([statement.Action]), "kms:Decrypt")]) == "sns.eu-west-1.amazonaws.com"
    error_message = "the topic's key refuses the rules"
  }
  assert {
    condition     = contains(jsondecode(aws_sqs_queue_policy.undelivered.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:eu-west-1:111122223333:rule/tidegate-test-gate-opened")
    error_message = "the queue refuses what the pause watch's rule could not deliver"
  }
}

run "a_rule_of_another_module_is_a_name" {
  command = plan
  variables { other_rules = ["arn:aws:events:eu-west-1:111122223333:rule/tidegate-test-gate-opened"] }
  expect_failures = [var.other_rules]
}

run "the_texts_use_only_what_their_paths_bring" {
  command = plan

  assert {
    condition = alltrue([for target in aws_cloudwatch_event_target.told :
      toset(flatten(regexall("<([A-Za-z]+)>", target.input_transformer[0].input_template))) == toset(keys(target.input_transformer[0].input_paths))
    ])
    error_message = "a text names a value without a path, or a path serves no text"
  }

  assert {
    condition = alltrue([for target in aws_cloudwatch_event_target.told :
      alltrue([for path in values(target.input_transformer[0].input_paths) : !can(regex("(?i)token|input|output", path))])
    ])
    error_message = "a message carries a token, an input or an output"
  }

  assert {
    condition = alltrue([for name, target in aws_cloudwatch_event_target.told :
      alltrue([for path in values(target.input_transformer[0].input_paths) : contains(concat(
        ["executionId", "planId", "executionType", "waveNumber", "reason", "name", "status"],
        # Of an execution that was not stopped the error is a name; StopExecution takes any text.
        name == "failed" ? ["error"] : [],
      ), trimprefix(path, "$.detail."))])
    ])
    error_message = "a text is spliced in that somebody wrote: EventBridge would not escape its quotes"
  }

  assert {
    condition = alltrue([for target in aws_cloudwatch_event_target.told :
      alltrue([for line in split("\n", target.input_transformer[0].input_template) : can(tostring(jsondecode(line)))])
    ])
    error_message = "each line of a text is a JSON string of its own"
  }
}

run "ends_are_told_for_the_machine_and_its_versions" {
  command = plan

  assert {
    condition = alltrue([for name in ["failed", "stopped", "succeeded"] :
      jsonencode(jsondecode(aws_cloudwatch_event_rule.told[name].event_pattern).detail.stateMachineArn) == jsonencode([
        "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery",
        { prefix = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery:" },
      ])
    ])
    error_message = "an end of an execution of a version or alias would be missed"
  }

  assert {
    condition = toset(concat([for name in ["failed", "stopped"] :
      jsondecode(aws_cloudwatch_event_rule.told[name].event_pattern).detail.status
    ]...)) == toset(["FAILED", "TIMED_OUT", "ABORTED"])
    error_message = "each way of not succeeding is told"
  }
}

run "reconcile_takes_the_event_as_it_is" {
  command = plan

  assert {
    condition     = toset(jsondecode(aws_cloudwatch_event_rule.reconcile.event_pattern).detail.status) == toset(["ABORTED", "TIMED_OUT", "FAILED"])
    error_message = "reconcile runs for every end but SUCCEEDED"
  }

  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_event_rule.reconcile.event_pattern).detail.stateMachineArn) == jsonencode([
      "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery",
      { prefix = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery:" },
    ])
    error_message = "the contract's placeholder stands for the recovery machine"
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.reconcile.input_transformer) == 0 && aws_cloudwatch_event_target.reconcile.input == null
    error_message = "the machine reads the event as EventBridge made it"
  }

  assert {
    condition     = aws_cloudwatch_event_target.reconcile.retry_policy[0].maximum_event_age_in_seconds == 86400 && aws_cloudwatch_event_target.reconcile.dead_letter_config[0].arn == aws_sqs_queue.undelivered.arn
    error_message = "an event that cannot be delivered is tried for a day and then kept"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.reconcile.policy).Statement[0].Resource == "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile"
    error_message = "StartExecution through an alias is authorised on the unqualified ARN"
  }

  assert {
    condition     = one(jsondecode(aws_iam_role.reconcile.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == aws_cloudwatch_event_rule.reconcile.arn
    error_message = "no other rule may use the role"
  }
}

run "only_the_rules_and_the_alarms_publish" {
  command = plan

  assert {
    condition = jsonencode([for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement : [statement.Sid, statement.Principal] if statement.Effect == "Allow"]) == jsonencode([
      ["AlarmsPublish", { Service = "cloudwatch.amazonaws.com" }],
    ])
    error_message = "EventBridge comes with its role: in a topic's policy it could not be limited to our rules"
  }

  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:tidegate-test-*"
    error_message = "only alarms of this deployment publish"
  }

  assert {
    condition     = toset(jsondecode(aws_iam_role.publish.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == toset([for rule in aws_cloudwatch_event_rule.told : rule.arn])
    error_message = "no other rule may take the role that publishes"
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.told : target.role_arn == aws_iam_role.publish.arn && target.dead_letter_config[0].arn == aws_sqs_queue.undelivered.arn])
    error_message = "a target without the role publishes nothing, and one without a queue loses it"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.publish.policy).Statement[0].Resource == aws_sns_topic.this.arn && jsondecode(aws_iam_role_policy.publish.policy).Statement[0].Action == "sns:Publish"
    error_message = "the role publishes on this topic, and does nothing else"
  }

  assert {
    condition     = toset(jsondecode(aws_sqs_queue_policy.undelivered.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == toset(concat([for rule in aws_cloudwatch_event_rule.told : rule.arn], [aws_cloudwatch_event_rule.reconcile.arn]))
    error_message = "every rule's undelivered events are kept, nobody else's"
  }

  assert {
    condition     = aws_sqs_queue.undelivered.sqs_managed_sse_enabled == true && length(aws_sns_topic_subscription.email) == 0
    error_message = "the queue is encrypted without a key of ours, and nobody is subscribed unasked"
  }
}

run "addresses_are_subscribed_and_success_can_be_left_out" {
  command = plan

  variables {
    email_subscriptions = ["dr-team@example.com", "night@example.org"]
    announce_succeeded  = false
    kms_key_arn         = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.email : subscription.endpoint]) == toset(["dr-team@example.com", "night@example.org"])
    error_message = "each address is subscribed once"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_event_rule.told), "succeeded") && contains(keys(aws_cloudwatch_event_rule.told), "failed")
    error_message = "success is left out, failure never"
  }

  assert {
    condition     = aws_sns_topic.this.kms_master_key_id == "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000" && aws_sqs_queue.undelivered.kms_master_key_id == aws_sns_topic.this.kms_master_key_id
    error_message = "topic and queue use the key"
  }
}

run "what_tells_people_of_gates_listens_on_the_bus_of_the_machines" {
  command = plan

  assert {
    condition = alltrue([for name, rule in aws_cloudwatch_event_rule.told :
      jsondecode(rule.event_pattern).source == (rule.event_bus_name == "default" ? ["aws.states"] : ["tidegate"])
    ])
    error_message = "a rule on the default bus believes what anybody may send"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.told["paused"].event_bus_name == "tidegate-test" && aws_cloudwatch_event_rule.told["failed"].event_bus_name == "default"
    error_message = "status changes come on the default bus only"
  }
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "Tidegate_Test" }
  expect_failures = [var.name_prefix]
}

run "qualified_recovery_machine_is_refused" {
  command = plan
  variables { recovery_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery:live" }
  expect_failures = [var.recovery_state_machine_arn]
}

run "reconcile_machine_must_be_an_arn" {
  command = plan
  variables { reconcile_state_machine_arn = "tidegate-test-reconcile" }
  expect_failures = [var.reconcile_state_machine_arn]
}

run "bus_of_a_partner_is_refused" {
  command = plan
  variables { event_bus_name = "aws.partner/example.com/1" }
  expect_failures = [var.event_bus_name]
}

run "half_an_address_is_refused" {
  command = plan
  variables { email_subscriptions = ["dr-team@example"] }
  expect_failures = [var.email_subscriptions]
}

run "alias_of_a_key_is_refused" {
  command = plan
  variables { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:alias/tidegate" }
  expect_failures = [var.kms_key_arn]
}

run "the_bus_on_which_everybody_may_speak_is_refused" {
  command = plan
  variables { event_bus_name = "default" }
  expect_failures = [var.event_bus_name]
}
