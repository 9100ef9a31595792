variable "name_prefix" {
  type        = string
  description = "Begins the name of every resource, such as tidegate-prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "region" {
  type        = string
  description = "Region of the deployment, for the dashboard's widgets."
  nullable    = false
}

variable "recovery_state_machine_arn" {
  type        = string
  description = "ARN of the recovery state machine, without version or alias: metrics of all its versions carry it."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}$", var.recovery_state_machine_arn))
    error_message = "recovery_state_machine_arn is the ARN of a state machine without a version or alias at its end."
  }
}

variable "reconcile_state_machine_arn" {
  type        = string
  description = "ARN of the reconcile state machine, without version or alias."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}$", var.reconcile_state_machine_arn))
    error_message = "reconcile_state_machine_arn is the ARN of a state machine without a version or alias at its end."
  }
}

variable "activity_arns" {
  type        = map(string)
  description = "ARNs of the activities by their names in the contract."
  nullable    = false

  validation {
    condition     = toset(keys(var.activity_arns)) == toset([for activity in jsondecode(file("${path.module}/../../../statemachine/contract/contract.json")).activities : activity.name])
    error_message = "activity_arns has an ARN for each activity of the contract, and no other."
  }

  validation {
    condition     = alltrue([for arn in values(var.activity_arns) : can(regex("^arn:[a-z0-9-]+:states:[a-z0-9-]+:[0-9]{12}:activity:[A-Za-z0-9_-]{1,80}$", arn))])
    error_message = "Each of activity_arns is the ARN of an activity."
  }
}

variable "execution_history_table" {
  type        = object({ name = string, arn = string })
  description = "The execution-history table: whether an execution is still PAUSED is asked of it."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}$", var.execution_history_table.arn)) && endswith(var.execution_history_table.arn, "/${var.execution_history_table.name}")
    error_message = "execution_history_table has the name and the ARN of one DynamoDB table."
  }
}

variable "event_bus_name" {
  type        = string
  description = "Bus that the recovery machine puts its own events on."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_./-]{1,256}$", var.event_bus_name)) && !startswith(var.event_bus_name, "aws.") && var.event_bus_name != "default"
    error_message = "event_bus_name is the name of the deployment's own event bus: not the default one, on which everybody may speak."
  }
}

variable "worker_log_group_name" {
  type        = string
  description = "Log group of the workers: their metrics (EMF lines) come through it, and metric filters read it. Null when workers run elsewhere and log elsewhere; then the alarms that need it are not made."
  default     = null

  validation {
    condition     = var.worker_log_group_name == null || can(regex("^[A-Za-z0-9_/.#-]{1,512}$", var.worker_log_group_name))
    error_message = "worker_log_group_name is the name of a log group, not its ARN."
  }
}

variable "worker_service" {
  type        = object({ cluster_name = string, service_name = string, least_tasks = optional(number, 2) })
  description = "ECS service of the workers and how many tasks of it must run. Null when they run elsewhere."
  default     = null

  validation {
    condition     = var.worker_service == null || try(var.worker_service.least_tasks >= 1 && var.worker_service.least_tasks <= 100 && floor(var.worker_service.least_tasks) == var.worker_service.least_tasks, false)
    error_message = "least_tasks of worker_service is a whole number from 1 to 100."
  }
}

variable "undelivered_queue_name" {
  type        = string
  description = "Dead-letter queue of the notification and reconcile rules (module notifications)."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.undelivered_queue_name))
    error_message = "undelivered_queue_name is the name of an SQS standard queue, not its URL or ARN."
  }
}

variable "undelivered_queue_arn" {
  type        = string
  description = "ARN of that queue: what could not start the pause watch goes there. Null: nowhere."
  default     = null

  validation {
    condition     = var.undelivered_queue_arn == null || can(regex("^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}$", var.undelivered_queue_arn))
    error_message = "undelivered_queue_arn is the ARN of an SQS standard queue."
  }
}

variable "events_name_executions" {
  type        = bool
  description = "Whether events carry the ARN of the execution that sent them in their resources, as Step Functions' do: then only those of this deployment's machine count. The local stack's do not."
  default     = true
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "Customer managed key of the tables; null: AWS's own. A right to use it is given where its own policy may not."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a KMS key (not of an alias)."
  }
}

variable "alarm_topic_arns" {
  type        = set(string)
  description = "SNS topics that are told when an alarm rises and when it is over."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", arn))])
    error_message = "Each of alarm_topic_arns is the ARN of an SNS topic."
  }
}

variable "task_wait_seconds" {
  type        = number
  description = "A task that waited longer than this for a worker raises the alarm."
  default     = 120
  nullable    = false

  validation {
    condition     = var.task_wait_seconds >= 10 && var.task_wait_seconds <= 3600
    error_message = "task_wait_seconds is between 10 and 3600."
  }
}

variable "paused_minutes" {
  type        = number
  description = "A gate that nobody answered for longer than this raises the alarm, and keeps it until it is answered or its time is over."
  default     = 60
  nullable    = false

  validation {
    condition     = var.paused_minutes >= 5 && var.paused_minutes <= 1440 && floor(var.paused_minutes) == var.paused_minutes
    error_message = "paused_minutes is a whole number from 5 to 1440."
  }
}

variable "docs_url" {
  type        = string
  description = "Where the alarms' descriptions say that docs/troubleshooting.md is, without the section."
  default     = "docs/troubleshooting.md"
  nullable    = false

  validation {
    condition     = can(regex("^[!-~]{1,200}$", var.docs_url)) && !strcontains(var.docs_url, "#")
    error_message = "docs_url is a path or URL without blanks and without a #section, of at most 200 characters."
  }
}

variable "create_alarms" {
  type        = bool
  description = "Whether the alarms are made. The local stack answers the provider's DescribeAlarms with half of each alarm, so that every plan would show them all as changed."
  default     = true
  nullable    = false
}

variable "create_query_definitions" {
  type        = bool
  description = "Whether the Logs Insights queries of docs/troubleshooting.md are saved in the account. The local stack has no such call."
  default     = true
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
