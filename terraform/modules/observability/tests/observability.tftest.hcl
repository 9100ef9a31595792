mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/tidegate-test-mocked" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-pause-watch" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/tidegate-test-gate-opened" }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:tidegate-test-mocked" }
  }
}

variables {
  name_prefix                 = "tidegate-test"
  event_bus_name              = "tidegate-test"
  region                      = "eu-west-1"
  recovery_state_machine_arn  = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery"
  reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile"
  activity_arns = {
    prepare-execution-v1  = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-prepare-execution-v1"
    start-wave-v1         = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-start-wave-v1"
    poll-wave-v1          = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-poll-wave-v1"
    finalize-execution-v1 = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-finalize-execution-v1"
    start-cleanup-v1      = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-start-cleanup-v1"
    poll-cleanup-v1       = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-poll-cleanup-v1"
  }
  execution_history_table = {
    name = "tidegate-test-execution-history"
    arn  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-history"
  }
  worker_log_group_name  = "/tidegate-test/workers"
  worker_service         = { cluster_name = "tidegate-test", service_name = "worker" }
  undelivered_queue_name = "tidegate-test-undelivered-events"
  alarm_topic_arns       = ["arn:aws:sns:eu-west-1:111122223333:tidegate-test-notifications"]
}

run "every_alarm_says_what_to_do_and_where_it_is_explained" {
  command = plan

  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.plain), values(aws_cloudwatch_metric_alarm.task_waits)) :
      can(regex("docs/troubleshooting.md#alarm-[a-z-]+$", alarm.alarm_description)) && length(alarm.alarm_description) <= 1024
    ])
    error_message = "an alarm has no section, or a description CloudWatch would refuse"
  }

  # GitHub's anchor of "### Alarm: no polls" is alarm-no-polls.
  assert {
    condition     = alltrue([for section in output.alarm_sections : strcontains(file("../../../docs/troubleshooting.md"), "\n### Alarm: ${replace(section, "-", " ")}\n")])
    error_message = "docs/troubleshooting.md lacks the section of an alarm"
  }

  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.plain), values(aws_cloudwatch_metric_alarm.task_waits)) :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:111122223333:tidegate-test-notifications"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "an alarm tells nobody"
  }
}

run "each_activity_is_missed_when_nobody_polls_it" {
  command = plan

  assert {
    condition = alltrue([for name, arn in var.activity_arns :
      aws_cloudwatch_metric_alarm.plain["no-polls-${name}"].dimensions == tomap({ Activity = name }) &&
      aws_cloudwatch_metric_alarm.plain["no-polls-${name}"].treat_missing_data == "breaching"
    ])
    error_message = "no polls at all is no data: it must breach"
  }

  assert {
    condition = alltrue(flatten([for name, arn in var.activity_arns : [
      for query in aws_cloudwatch_metric_alarm.task_waits["task-waits-${name}"].metric_query : query.metric[0].dimensions == tomap({ ActivityArn = arn }) if length(query.metric) > 0
    ]]))
    error_message = "a waiting task is looked for on another activity"
  }

  assert {
    condition = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.task_waits) :
      length([for query in alarm.metric_query : query if query.return_data]) == 1 && anytrue([for query in alarm.metric_query : try(strcontains(query.expression, "> 120000"), false)])
    ])
    error_message = "one expression decides, and ActivityScheduleTime is in milliseconds"
  }
}

# A task is scheduled once: only that period breaches, and the task goes on waiting.
run "a_waiting_task_is_not_over_after_five_minutes" {
  command = plan

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.task_waits) : alarm.datapoints_to_alarm == 1 && alarm.evaluation_periods >= 12])
    error_message = "the alarm would say that it is over while the task waits"
  }
}

# Prod must not live by dev's workers, and not be woken by its drills.
run "another_deployment_of_the_account_watches_other_metrics" {
  command = plan

  override_resource {
    target          = aws_sfn_state_machine.pause_watch
    override_during = plan
    values          = { arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-other-pause-watch" }
  }

  variables {
    name_prefix                 = "tidegate-other"
    recovery_state_machine_arn  = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-other-recovery"
    reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-other-reconcile"
    activity_arns               = { for activity in jsondecode(file("../../../statemachine/contract/contract.json")).activities : activity.name => "arn:aws:states:eu-west-1:111122223333:activity:tidegate-other-${activity.name}" }
    execution_history_table = {
      name = "tidegate-other-execution-history"
      arn  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-other-execution-history"
    }
    worker_log_group_name  = "/tidegate-other/workers"
    worker_service         = { cluster_name = "tidegate-other", service_name = "worker" }
    undelivered_queue_name = "tidegate-other-undelivered-events"
  }

  assert {
    condition = length(setintersection(
      toset([for metric in flatten([for metrics in values(output.alarm_metrics) : [for metric in metrics : join(" ", metric)]]) : metric]),
      toset([for metric in flatten([for metrics in values(run.every_alarm_says_what_to_do_and_where_it_is_explained.alarm_metrics) : [for metric in metrics : join(" ", metric)]]) : metric]),
    )) == 0
    error_message = "two deployments of one account share a metric that an alarm is on"
  }
  assert {
    condition     = length(output.alarm_metrics) == length(run.every_alarm_says_what_to_do_and_where_it_is_explained.alarm_metrics) && length(output.alarm_metrics) > 20
    error_message = "both have all alarms"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.pause_watch.policy).Statement[1].Condition.StringEquals["cloudwatch:namespace"] == "DRS-Orchestration/tidegate-other" && strcontains(aws_sfn_state_machine.pause_watch.definition, "\"Namespace\": \"DRS-Orchestration/tidegate-other\"")
    error_message = "the pause watch counts for another deployment"
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.gate_opened.event_pattern).resources == [{ prefix = "arn:aws:states:eu-west-1:111122223333:execution:tidegate-other-recovery:" }]
    error_message = "gates of another deployment on the same bus start the watch"
  }
}

run "with_a_key_whose_policy_names_nobody_the_pause_watch_can_still_read" {
  command = plan
  variables {
    kms_key_arn           = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d"
    undelivered_queue_arn = "arn:aws:sqs:eu-west-1:111122223333:tidegate-test-undelivered-events"
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.pause_watch.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if contains(flatten([statement.Action]), "kms:Decrypt")]) == "dynamodb.eu-west-1.amazonaws.com"
    error_message = "the watch is refused by the tables' key"
  }
  assert {
    condition     = one(aws_cloudwatch_event_target.gate_opened.dead_letter_config).arn == "arn:aws:sqs:eu-west-1:111122223333:tidegate-test-undelivered-events"
    error_message = "an event that could not start the watch is lost"
  }
}

run "bad_things_are_counted_and_signs_of_life_are_missed" {
  command = plan

  assert {
    condition = toset([for name, alarm in aws_cloudwatch_metric_alarm.plain : alarm.metric_name if alarm.namespace == "DRS-Orchestration/tidegate-test"]) == toset([
      "LostAnswers", "PausedTooLong", "PollAccepted", "ServerLaunchFailure", "StartOutcomeUnknown", "ThrottledTasks",
    ])
    error_message = "an alarm on a metric of ours is missing or watches what nobody sends"
  }

  # Each name is written in the worker, made by a filter of this module, or counted by the pause watch.
  assert {
    condition = alltrue([for metric in toset([for alarm in values(aws_cloudwatch_metric_alarm.plain) : alarm.metric_name if alarm.namespace == "DRS-Orchestration/tidegate-test"]) :
      contains([for filter in concat(values(aws_cloudwatch_log_metric_filter.this), values(aws_cloudwatch_log_metric_filter.fenced)) : filter.metric_transformation[0].name], metric) ||
      strcontains(aws_sfn_state_machine.pause_watch.definition, "\"MetricName\": \"${metric}\"")
    ])
    error_message = "an alarm watches a metric that nothing sends"
  }

  # What the workers write is read out of their log again, by the names they write.
  assert {
    condition = alltrue([for filter in values(aws_cloudwatch_log_metric_filter.fenced) :
      strcontains("${file("../../../workers/worker/src/metrics.rs")}${file("../../../workers/runtime/src/metrics.rs")}", "\"${filter.metric_transformation[0].name}\"") &&
      filter.log_group_name == var.worker_log_group_name && filter.metric_transformation[0].value == "$.${filter.metric_transformation[0].name}"
    ])
    error_message = "a filter reads what no worker writes, or another log"
  }

  assert {
    condition = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.plain) :
      (alarm.treat_missing_data == "breaching") == (alarm.comparison_operator == "LessThanThreshold")
    ])
    error_message = "what is missed when absent is compared from below, and nothing else"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.plain["workers-missing"].threshold == 2 && aws_cloudwatch_metric_alarm.plain["workers-missing"].statistic == "SampleCount"
    error_message = "two tasks are expected unless told otherwise"
  }

  assert {
    condition = alltrue([for name in ["executions-failed", "executions-timed-out", "executions-aborted", "execution-throttled"] :
      aws_cloudwatch_metric_alarm.plain[name].dimensions["StateMachineArn"] == "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery"
    ])
    error_message = "executions of the recovery machine are watched"
  }
}

run "filters_read_the_log_events_of_the_worker" {
  command = plan

  assert {
    condition = alltrue([for event in flatten([for filter in values(aws_cloudwatch_log_metric_filter.this) : regexall("message = \"([A-Za-z]+)\"", filter.pattern)]) :
      strcontains(join("", [for path in ["worker/src/activities/start_wave.rs", "worker/src/activities/start_cleanup.rs", "runtime/src/telemetry.rs"] : file("../../../workers/${path}")]), "\"${event}\"")
    ])
    error_message = "a filter waits for a log event that the worker does not write"
  }

  assert {
    condition     = length(aws_cloudwatch_log_metric_filter.this) == 3 && length(aws_cloudwatch_log_metric_filter.fenced) == 2
    error_message = "five metrics come from the log"
  }
}

run "the_queries_are_those_of_the_docs" {
  command = plan

  assert {
    condition     = length(output.queries) == 7 && alltrue([for text in values(output.queries) : strcontains(file("../../../docs/troubleshooting.md"), text)])
    error_message = "docs/troubleshooting.md and the saved queries differ"
  }

  assert {
    condition     = toset([for query in values(aws_cloudwatch_query_definition.this) : query.query_string]) == toset(values(output.queries))
    error_message = "each query is saved"
  }
}

run "the_dashboard_is_json_on_real_metrics" {
  command = plan

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 16
    error_message = "alarms, 13 charts and two logs"
  }

  assert {
    condition = alltrue(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
      for metric in try(widget.properties.metrics, []) :
      length(metric) % 2 == 0 && (metric[0] != "DRS-Orchestration/tidegate-test" || metric[1] == "PausedTooLong" ||
      contains([for filter in concat(values(aws_cloudwatch_log_metric_filter.this), values(aws_cloudwatch_log_metric_filter.fenced)) : filter.metric_transformation[0].name], metric[1])) &&
      (metric[0] != "DRS-Orchestration" || strcontains("${file("../../../workers/worker/src/metrics.rs")}${file("../../../workers/runtime/src/metrics.rs")}", "\"${metric[1]}\""))
    ]]))
    error_message = "a chart shows a metric of ours that nothing sends"
  }
}

run "the_pause_watch_counts_and_never_reads" {
  command = plan

  assert {
    condition     = jsondecode(aws_sfn_state_machine.pause_watch.definition).States.Remember.Parameters["pausedSeconds.$"] == "States.StringToJson('3540')"
    error_message = "an hour in all, the first minute included"
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.pause_watch.definition).States["IsItStillOpen"].Parameters.Select == "COUNT" &&
      jsondecode(aws_iam_role_policy.pause_watch.policy).Statement[0].Condition.StringEquals["dynamodb:Select"] == "COUNT" &&
      !can(regex("(?i)\\.token|Task\\.Token", aws_sfn_state_machine.pause_watch.definition))
    )
    error_message = "the watch could read a task token"
  }

  assert {
    condition     = jsondecode(aws_iam_role.pause_watch.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-pause-watch"
    error_message = "another machine could take the role"
  }
}

run "workers_elsewhere_leave_the_alarms_of_step_functions" {
  command = plan

  variables {
    worker_log_group_name = null
    worker_service        = null
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.task_waits) == 6 && length(aws_cloudwatch_log_metric_filter.this) + length(aws_cloudwatch_log_metric_filter.fenced) == 0 && length(aws_cloudwatch_query_definition.this) == 0
    error_message = "waiting tasks are seen without the workers' log, the rest is not"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.plain)) == toset(["executions-failed", "executions-timed-out", "executions-aborted", "execution-throttled", "reconcile-failed", "reconcile-timed-out", "pause-watch-failed", "undelivered-events", "paused-too-long"])
    error_message = "an alarm would wait for data that cannot come"
  }
}

run "queries_can_be_left_out" {
  command = plan
  variables { create_query_definitions = false }
  assert {
    condition     = length(aws_cloudwatch_query_definition.this) == 0
    error_message = "the local stack has no saved queries"
  }
}

run "alarms_can_be_left_out" {
  command = plan
  variables { create_alarms = false }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.plain) == 0 && length(aws_cloudwatch_metric_alarm.task_waits) == 0 && !anytrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.type == "alarm"])
    error_message = "no alarm, and no widget of alarms"
  }
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "t" }
  expect_failures = [var.name_prefix]
}

run "qualified_recovery_machine_is_refused" {
  command = plan
  variables { recovery_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery:live" }
  expect_failures = [var.recovery_state_machine_arn]
}

run "qualified_reconcile_machine_is_refused" {
  command = plan
  variables { reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile:1" }
  expect_failures = [var.reconcile_state_machine_arn]
}

run "an_activity_that_is_not_watched_is_refused" {
  command = plan
  variables { activity_arns = { poll-wave-v1 = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-poll-wave-v1" } }
  expect_failures = [var.activity_arns]
}

run "activities_are_arns" {
  command = plan
  variables {
    activity_arns = {
      prepare-execution-v1  = "tidegate-test-prepare-execution-v1"
      start-wave-v1         = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-start-wave-v1"
      poll-wave-v1          = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-poll-wave-v1"
      finalize-execution-v1 = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-finalize-execution-v1"
      start-cleanup-v1      = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-start-cleanup-v1"
      poll-cleanup-v1       = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-test-poll-cleanup-v1"
    }
  }
  expect_failures = [var.activity_arns]
}

run "two_tables_in_one_are_refused" {
  command = plan
  variables {
    execution_history_table = {
      name = "tidegate-test-execution-waves"
      arn  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-history"
    }
  }
  expect_failures = [var.execution_history_table]
}

run "bus_of_a_partner_is_refused" {
  command = plan
  variables { event_bus_name = "aws.partner/example.com/1" }
  expect_failures = [var.event_bus_name]
}

run "log_group_is_a_name" {
  command = plan
  variables { worker_log_group_name = "arn:aws:logs:eu-west-1:111122223333:log-group:/tidegate-test/workers" }
  expect_failures = [var.worker_log_group_name]
}

run "no_task_at_all_is_refused" {
  command = plan
  variables { worker_service = { cluster_name = "tidegate-test", service_name = "worker", least_tasks = 0 } }
  expect_failures = [var.worker_service]
}

run "queue_is_a_name" {
  command = plan
  variables { undelivered_queue_name = "https://sqs.eu-west-1.amazonaws.com/111122223333/tidegate-test-undelivered-events" }
  expect_failures = [var.undelivered_queue_name]
}

run "queue_arn_is_an_arn" {
  command = plan
  variables { undelivered_queue_arn = "tidegate-test-undelivered-events" }
  expect_failures = [var.undelivered_queue_arn]
}

run "keys_are_no_aliases" {
  command = plan
  variables { kms_key_arn = "alias/tidegate" }
  expect_failures = [var.kms_key_arn]
}

run "topics_are_arns" {
  command = plan
  variables { alarm_topic_arns = ["tidegate-test-notifications"] }
  expect_failures = [var.alarm_topic_arns]
}

run "impatience_is_refused" {
  command = plan
  variables { task_wait_seconds = 5 }
  expect_failures = [var.task_wait_seconds]
}

run "a_pause_shorter_than_five_minutes_is_refused" {
  command = plan
  variables { paused_minutes = 4 }
  expect_failures = [var.paused_minutes]
}

run "docs_url_has_no_section" {
  command = plan
  variables { docs_url = "docs/troubleshooting.md#alarms" }
  expect_failures = [var.docs_url]
}

run "the_bus_on_which_everybody_may_speak_is_refused" {
  command = plan
  variables { event_bus_name = "default" }
  expect_failures = [var.event_bus_name]
}
