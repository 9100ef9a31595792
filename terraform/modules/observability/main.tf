# What is watched, and what raises an alarm. Every alarm is data here: its metric, its limit, the sentence that a person reads
# at night and the section of docs/troubleshooting.md that goes on from there. `alarms.tf` makes them.

locals {
  contract  = jsondecode(file("${path.module}/../../../statemachine/contract/contract.json"))
  from_logs = var.worker_log_group_name != null

  # The namespace of the workers' own metrics (EMF), which no deployment has for itself: their dimensions do not name one.
  # Alarms and whatever else must not take another deployment's word are on metrics made of this deployment's log.
  shared_namespace = "DRS-Orchestration"
  namespace        = "${local.shared_namespace}/${var.name_prefix}"

  recovery  = { StateMachineArn = var.recovery_state_machine_arn }
  reconcile = { StateMachineArn = var.reconcile_state_machine_arn }

  # The two types an execution has; the dimension of the workers' metrics.
  execution_types = toset(["DRILL", "RECOVERY"])

  # Step Functions measures a task's wait only once somebody has taken it, so for a queue that nobody reads there is no
  # measurement: "scheduled, and none started" is the sign. The wait itself finds workers that are too few.
  task_waits = { for name, arn in var.activity_arns : "task-waits-${name}" => {
    section = "task-waits"
    says    = "Tasks of ${name} wait for a worker: none takes them, or one waited over ${var.task_wait_seconds} s. Are workers running, healthy, and on this activity's ARN? The alarm stays for an hour; that it is over does not say that the task was taken."
    math    = "IF((FILL(scheduled, 0) > 0 AND FILL(started, 0) == 0) OR FILL(waited, 0) > ${var.task_wait_seconds * 1000}, 1, 0)"
    metrics = {
      scheduled = { namespace = "AWS/States", name = "ActivitiesScheduled", stat = "Sum", dimensions = { ActivityArn = arn } }
      started   = { namespace = "AWS/States", name = "ActivitiesStarted", stat = "Sum", dimensions = { ActivityArn = arn } }
      waited    = { namespace = "AWS/States", name = "ActivityScheduleTime", stat = "Maximum", dimensions = { ActivityArn = arn } }
    }
  } }

  # Says it before an execution needs a worker. Five minutes: a poll lasts one, and a worker with every slot taken polls
  # again when a task ends.
  no_polls = { for name, arn in var.activity_arns : "no-polls-${name}" => {
    section   = "no-polls"
    says      = "No worker has polled for ${name} for 5 minutes. An execution that starts now would stand still. Are workers running, and may they call GetActivityTask on this ARN?"
    namespace = local.namespace
    metric    = "PollAccepted"
    stat      = "Sum"
    period    = 60
    periods   = 5
    compare   = "LessThanThreshold"
    missing   = "breaching"
    dimensions = {
      Activity = name
    }
  } if local.from_logs }

  launch_failures = { for type in local.execution_types : "launch-failures-${lower(type)}" => {
    section    = "launch-failures"
    says       = "Servers of a ${type} did not launch. `tidegate show` names each with its error; a gate may wait for a decision."
    namespace  = local.namespace
    metric     = "ServerLaunchFailure"
    stat       = "Sum"
    dimensions = { ExecutionType = type }
  } if local.from_logs }

  # Metrics of the workers once more, out of the EMF lines in this deployment's log.
  fenced_metrics = {
    polls-accepted  = { metric = "PollAccepted", dimension = "Activity" }
    launch-failures = { metric = "ServerLaunchFailure", dimension = "ExecutionType" }
  }

  # Made of log events that have no EMF metric of their own.
  log_metrics = {
    start-outcome-unknown = {
      metric  = "StartOutcomeUnknown"
      pattern = "{ ($.message = \"JobNotStarted\" || $.message = \"TerminateNotStarted\") && $.sent = \"Unknown\" }"
      says    = "A call that starts a DRS job got no answer: nobody knows yet whether the job exists. The next attempt looks for it before it sends again; see that JobAdopted or a new IntentRecorded follows."
    }
    throttled-tasks = {
      metric  = "ThrottledTasks"
      pattern = "{ $.message = \"TaskFinished\" && $.error = \"Tidegate.Throttled\" }"
      says    = "Tasks end in Tidegate.Throttled: DRS, EC2 or DynamoDB refuse the call rate. The machine retries for a long time; who else calls the same APIs in this account and Region?"
      limit   = 5
    }
    lost-answers = {
      metric  = "LostAnswers"
      pattern = "{ $.message = \"TaskFinished\" && $.level = \"ERROR\" }"
      says    = "Tasks ended in a fault of the worker, or their answer reached nobody. Step Functions hands them out again after the heartbeat; read the log lines of that time."
    }
  }

  from_filters = { for name, filter in local.log_metrics : name => {
    section    = name
    says       = filter.says
    namespace  = local.namespace
    metric     = filter.metric
    stat       = "Sum"
    threshold  = try(filter.limit, 1)
    dimensions = {}
  } if local.from_logs }

  of_machines = {
    executions-failed = {
      section = "executions-failed", metric = "ExecutionsFailed", dimensions = local.recovery
      says    = "An execution ended FAILED: refused, partial, failed, cancelled or declined. Its error says which; `tidegate show` says the rest."
    }
    executions-timed-out = {
      section = "executions-timed-out", metric = "ExecutionsTimedOut", dimensions = local.recovery
      says    = "An execution ran into the state machine's own timeout, so it ended without Finalize. The reconcile machine closes its record; see that it did."
    }
    executions-aborted = {
      section = "executions-aborted", metric = "ExecutionsAborted", dimensions = local.recovery
      says    = "Somebody stopped an execution (StopExecution), which skips Finalize and cleanup. The reconcile machine closes its record; DRS jobs under way and a drill's instances go on."
    }
    execution-throttled = {
      section = "throttled-tasks", metric = "ExecutionThrottled", dimensions = local.recovery
      says    = "Step Functions throttles state transitions of the recovery machine. Executions go on, late. Which other state machines of this account and Region are busy?"
    }
    reconcile-failed = {
      section = "reconcile-failed", metric = "ExecutionsFailed", dimensions = local.reconcile
      says    = "The reconcile machine failed: a record still says that an execution runs which has ended, and its servers stay locked."
    }
    reconcile-timed-out = {
      section = "reconcile-failed", metric = "ExecutionsTimedOut", dimensions = local.reconcile
      says    = "The reconcile machine timed out: a record still says that an execution runs which has ended, and its servers stay locked. Are workers running?"
    }
    pause-watch-failed = {
      section = "pause-watch-failed", metric = "ExecutionsFailed", dimensions = { StateMachineArn = aws_sfn_state_machine.pause_watch.arn }
      says    = "The machine that watches paused executions failed, so a gate may stand open without this module saying so. `tidegate list --status paused` shows them."
    }
  }

  others = merge({
    undelivered-events = {
      section    = "undelivered-events", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", stat = "Maximum"
      dimensions = { QueueName = var.undelivered_queue_name }
      says       = "Events reached nobody for a day and wait in the queue: a notification was not sent, or an ended execution was not reconciled."
    }
    # A watcher counts every 15 minutes for as long as the gate stands, so of any 30 minutes one count is inside.
    paused-too-long = {
      section    = "paused-too-long", namespace = local.namespace, metric = "PausedTooLong", stat = "Sum", period = 1800
      dimensions = {}
      says       = "A gate has waited over ${var.paused_minutes} minutes for an answer. `tidegate list --status paused`, then `tidegate resume` or `tidegate decline`; unanswered, it ends TIMED_OUT."
    }
    }, var.worker_service == null ? {} : {
    workers-missing = {
      section = "workers-missing", namespace = "AWS/ECS", metric = "CPUUtilization", compare = "LessThanThreshold", missing = "breaching"
      # Each running task sends one sample a minute. Container Insights would count them (RunningTaskCount), but the service
      # of a caller of this module may be in a cluster without it.
      stat       = "SampleCount", period = 60, periods = 5, threshold = var.worker_service.least_tasks
      dimensions = { ClusterName = var.worker_service.cluster_name, ServiceName = var.worker_service.service_name }
      says       = "Fewer than ${var.worker_service.least_tasks} worker tasks run. One is enough to go on, none stops every execution; look at the service's events and at why tasks stopped."
    }
  })

  # Made where an alarm has one metric; those above with `math` are made of several.
  plain = merge(local.no_polls, local.launch_failures, local.from_filters, { for name, alarm in local.of_machines : name => merge(alarm, { namespace = "AWS/States", stat = "Sum" }) }, local.others)
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = { for name, filter in local.log_metrics : name => filter if local.from_logs }

  name           = "${var.name_prefix}-${each.key}"
  log_group_name = var.worker_log_group_name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.namespace
    name      = each.value.metric
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_log_metric_filter" "fenced" {
  for_each = { for name, filter in local.fenced_metrics : name => filter if local.from_logs }

  name           = "${var.name_prefix}-${each.key}"
  log_group_name = var.worker_log_group_name
  pattern        = "{ $.${each.value.metric} > 0 }"

  metric_transformation {
    namespace  = local.namespace
    name       = each.value.metric
    value      = "$.${each.value.metric}"
    unit       = "Count"
    dimensions = { (each.value.dimension) = "$.${each.value.dimension}" }
  }
}

# The texts are those of docs/troubleshooting.md; a test compares them.
resource "aws_cloudwatch_query_definition" "this" {
  for_each = var.create_query_definitions && local.from_logs ? local.queries : {}

  name            = "${var.name_prefix}/${each.key}"
  log_group_names = [var.worker_log_group_name]
  query_string    = each.value
}

locals {
  queries = { for name in fileset("${path.module}/queries", "*.logsinsights") : trimsuffix(name, ".logsinsights") => trimspace(file("${path.module}/queries/${name}")) }
}
