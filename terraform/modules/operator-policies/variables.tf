variable "name_prefix" {
  type        = string
  description = "Begins the name of every policy, such as tidegate-prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "recovery_state_machine_arn" {
  type        = string
  description = "ARN of the recovery state machine, without version or alias: that is what StartExecution is authorised on, also through an alias."
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

variable "state_machine_alias" {
  type        = string
  description = "If given, executions may be started through this alias only, so that nobody starts a version that is not released."
  default     = null

  validation {
    condition     = var.state_machine_alias == null || can(regex("^[A-Za-z_][A-Za-z0-9_.-]{0,79}$", var.state_machine_alias))
    error_message = "state_machine_alias is the name of an alias, not its ARN."
  }
}

variable "table_arns" {
  type        = map(string)
  description = "ARNs of the tables by their keys in the contract (executionHistory, executionWaves, ...)."
  nullable    = false

  validation {
    condition     = toset(keys(var.table_arns)) == toset([for table in jsondecode(file("${path.module}/../../../statemachine/contract/contract.json")).tables : table.key])
    error_message = "table_arns has an ARN for each table of the contract, and no other."
  }

  validation {
    condition     = alltrue([for arn in values(var.table_arns) : can(regex("^arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}$", arn))])
    error_message = "Each of table_arns is the ARN of a DynamoDB table."
  }
}

variable "starters_may_not_approve" {
  type        = bool
  description = "Whether the start policy also denies answering gates: a principal that has both policies can then start, but not approve."
  default     = false
  nullable    = false
}

variable "approvers_need_mfa" {
  type        = bool
  description = "Whether gates are answered only by sessions with multi-factor authentication. Sessions of IAM Identity Center do not carry that key; leave it off there and require MFA at sign-in."
  default     = false
  nullable    = false
}

variable "approver_source_cidrs" {
  type        = set(string)
  description = "If given, gates are answered from these public addresses only. Not for calls through a VPC endpoint, which have no public source address."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.approver_source_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Each of approver_source_cidrs is a block such as 198.51.100.0/24, and not every address there is."
  }
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

variable "tags" {
  type        = map(string)
  description = "Tags of every policy, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
