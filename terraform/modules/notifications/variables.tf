variable "name_prefix" {
  type        = string
  description = "Begins the name of every resource, such as tidegate-prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "recovery_state_machine_arn" {
  type        = string
  description = "ARN of the recovery state machine, without version or alias: the ends of its executions are announced and reconciled."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}$", var.recovery_state_machine_arn))
    error_message = "recovery_state_machine_arn is the ARN of a state machine without a version or alias at its end."
  }
}

variable "reconcile_state_machine_arn" {
  type        = string
  description = "ARN of the reconcile state machine (or of its alias): started with every execution of the recovery machine that ended other than SUCCEEDED."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}(:[A-Za-z0-9_.-]{1,80})?$", var.reconcile_state_machine_arn))
    error_message = "reconcile_state_machine_arn is the ARN of a state machine or of its alias."
  }
}

variable "event_bus_name" {
  type        = string
  description = "Bus that the recovery machine puts its own events on (module event-bus). Status changes of executions come on the default bus, always."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_./-]{1,256}$", var.event_bus_name)) && !startswith(var.event_bus_name, "aws.") && var.event_bus_name != "default"
    error_message = "event_bus_name is the name of the deployment's own event bus: not the default one, on which everybody may speak."
  }
}

variable "email_subscriptions" {
  type        = set(string)
  description = "E-mail addresses that are subscribed to the topic. Each gets a message with a link to confirm; until then nothing is sent to it."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.email_subscriptions : can(regex("^[^@\\s]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", address))])
    error_message = "Each of email_subscriptions is an address such as dr-team@example.com."
  }
}

variable "announce_succeeded" {
  type        = bool
  description = "Whether executions that SUCCEEDED are announced too. Checks (mode CHECK) succeed as well, so a plan that is checked daily makes a message a day."
  default     = true
  nullable    = false
}

variable "events_name_executions" {
  type        = bool
  description = "Whether events carry the ARN of the execution that sent them in their resources, as Step Functions' do: then only those of this deployment's machine count. The local stack's do not."
  default     = true
  nullable    = false
}

variable "other_rules" {
  type        = set(string)
  description = "Rules of other modules on event_bus_name, by their names without the prefix, whose undelivered events go into the queue, too."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.other_rules : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "Each of other_rules is the name of a rule without the prefix."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "Key that encrypts the topic and the dead-letter queue; EventBridge and CloudWatch must be allowed to use it (module encryption-key does). Null: the queue uses SQS's own key, the topic none."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a KMS key (not of an alias)."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
