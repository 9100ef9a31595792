# One page for the night: alarms on top, then what runs, what the workers do, what failed. Rows of 24 columns.
# Charts of what only the workers measure show every deployment of the account and Region (shared_namespace).

locals {
  # A widget of metrics: [namespace, metric, dimension, value, ...] each.
  charts = [
    { title = "Executions", width = 8, stat = "Sum", metrics = [for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled"] :
    ["AWS/States", metric, "StateMachineArn", var.recovery_state_machine_arn]] },
    { title = "Outcomes", width = 8, stat = "Sum", metrics = [for status in ["COMPLETED", "PARTIAL", "FAILED", "CANCELLED", "TIMED_OUT"] :
    [local.shared_namespace, "FinalizationCount", "Status", status]] },
    { title = "Gates open too long, events nobody took", width = 8, stat = "Maximum", metrics = [
      [local.namespace, "PausedTooLong"],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.undelivered_queue_name],
    ] },
    { title = "Servers launched", width = 12, stat = "Sum", metrics = [for pair in setproduct(sort(local.execution_types), ["ServerLaunchSuccess", "ServerLaunchFailure"]) :
    [pair[1] == "ServerLaunchFailure" ? local.namespace : local.shared_namespace, pair[1], "ExecutionType", pair[0]]] },
    { title = "Duration of executions (s)", width = 12, stat = "Maximum", metrics = [for pair in setproduct(sort(local.execution_types), ["COMPLETED", "PARTIAL", "FAILED"]) :
    [local.shared_namespace, "ExecutionDuration", "ExecutionType", pair[0], "Status", pair[1]]] },
    { title = "Tasks scheduled and taken", width = 12, stat = "Sum", metrics = [for pair in setproduct(sort(keys(var.activity_arns)), ["ActivitiesScheduled", "ActivitiesStarted"]) :
    ["AWS/States", pair[1], "ActivityArn", var.activity_arns[pair[0]]]] },
    { title = "Longest wait for a worker (ms)", width = 12, stat = "Maximum", metrics = [for name in sort(keys(var.activity_arns)) :
    ["AWS/States", "ActivityScheduleTime", "ActivityArn", var.activity_arns[name]]] },
    { title = "Polls taken", width = 8, stat = "Sum", metrics = [for name in sort(keys(var.activity_arns)) :
    [local.namespace, "PollAccepted", "Activity", name]] },
    { title = "Task duration, 95th percentile (ms)", width = 8, stat = "p95", metrics = [for name in sort(keys(var.activity_arns)) :
    [local.shared_namespace, "TaskDuration", "Activity", name]] },
    { title = "Tasks that did not succeed", width = 8, stat = "Sum", metrics = [for pair in setproduct(sort(keys(var.activity_arns)), ["failure", "abandoned"]) :
    [local.shared_namespace, "TaskResult", "Activity", pair[0], "Result", pair[1]]] },
    { title = "Unknown outcomes, throttling, lost answers", width = 8, stat = "Sum", metrics = [for name in sort(keys(local.log_metrics)) :
    [local.namespace, local.log_metrics[name].metric]] },
    { title = "Reconcile", width = 8, stat = "Sum", metrics = [for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut"] :
    ["AWS/States", metric, "StateMachineArn", var.reconcile_state_machine_arn]] },
    { title = "Worker tasks running", width = 8, stat = "SampleCount", metrics = var.worker_service == null ? [] : [
      ["AWS/ECS", "CPUUtilization", "ClusterName", try(var.worker_service.cluster_name, ""), "ServiceName", try(var.worker_service.service_name, "")]
    ] },
  ]

  # CloudWatch places widgets without x and y itself, left to right, row by row.
  widgets = concat(
    [for title in(var.create_alarms ? ["Alarms"] : []) : {
      type = "alarm", width = 24, height = 4
      properties = {
        title  = title
        alarms = sort(concat([for alarm in aws_cloudwatch_metric_alarm.plain : alarm.arn], [for alarm in aws_cloudwatch_metric_alarm.task_waits : alarm.arn]))
      }
    }],
    [for chart in local.charts : {
      type = "metric", width = chart.width, height = 6
      properties = {
        title   = chart.title
        region  = var.region
        view    = "timeSeries"
        period  = chart.stat == "SampleCount" ? 60 : 300
        stat    = chart.stat
        metrics = chart.metrics
      }
    } if length(chart.metrics) > 0],
    [for name in(local.from_logs ? ["unknown-outcomes", "activities-that-fail"] : []) : {
      type = "log", width = 12, height = 6
      properties = {
        title  = name
        region = var.region
        view   = "table"
        query  = "SOURCE '${var.worker_log_group_name}' | ${local.queries[name]}"
      }
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name_prefix
  dashboard_body = jsonencode({ widgets = local.widgets })
}
