variable "name" {
  description = "Full name of the state machine."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.name))
    error_message = "name must be 1 to 80 letters, digits, hyphens and underscores."
  }
}

variable "definition" {
  description = "The rendered definition, as the module contract gives it."
  type        = string

  validation {
    condition     = can(jsondecode(var.definition).StartAt) && can(keys(jsondecode(var.definition).States))
    error_message = "definition must be Amazon States Language: JSON with StartAt and States."
  }
  validation {
    condition     = !strcontains(var.definition, "$${")
    error_message = "definition still holds a placeholder."
  }
  validation {
    condition     = length(var.definition) <= 1048576
    error_message = "A definition may have 1 MiB."
  }
}

variable "role_name" {
  description = "Name of the machine's role."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.role_name))
    error_message = "role_name must be a role name of at most 64 characters."
  }
}

variable "trust_policy" {
  description = "Who may assume the role, JSON."
  type        = string

  validation {
    condition     = can(jsondecode(var.trust_policy).Statement)
    error_message = "trust_policy must be a policy document."
  }
}

variable "policies" {
  description = "What the role may do, policy documents by name."
  type        = map(string)

  validation {
    condition     = length(var.policies) > 0 && alltrue([for policy in var.policies : can(jsondecode(policy).Statement)])
    error_message = "policies must be policy documents, at least one."
  }
}

variable "alias_name" {
  description = "Alias that points at the version applied last. People and the CLI start executions through it."
  type        = string
  default     = "live"

  validation {
    # A number would read as a version in an ARN.
    condition     = can(regex("^[A-Za-z_-][A-Za-z0-9_-]{0,79}$", var.alias_name))
    error_message = "alias_name must be letters, digits, hyphens and underscores, not beginning with a digit."
  }
}

variable "log_group_name" {
  description = "Log group of the execution events. Under /aws/vendedlogs/, because the account's log resource policy has a size limit."
  type        = string

  validation {
    condition     = startswith(var.log_group_name, "/aws/vendedlogs/") && length(var.log_group_name) <= 512
    error_message = "log_group_name must begin with /aws/vendedlogs/."
  }
}

variable "log_level" {
  description = "Which execution events are logged."
  type        = string
  default     = "ALL"

  validation {
    condition     = contains(["ALL", "ERROR", "FATAL", "OFF"], var.log_level)
    error_message = "log_level must be ALL, ERROR, FATAL or OFF."
  }
}

variable "log_retention_days" {
  description = "Days the log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch Logs knows, such as 30."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key of the log group; null: CloudWatch Logs' own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a KMS key ARN (not an alias)."
  }
}

variable "tracing_enabled" {
  description = "Trace executions with X-Ray. Null says nothing about it, for endpoints that keep no tracing settings (MiniStack)."
  type        = bool
  default     = true
}
