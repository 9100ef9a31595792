variable "name_prefix" {
  type        = string
  description = "Begins the name of the role, such as tidegate-prod: name_prefix-target."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "worker_role_arn" {
  type        = string
  description = "Task role of the workers in the control plane's account: the only principal that may take this role."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.worker_role_arn))
    error_message = "worker_role_arn is the ARN of one IAM role."
  }
}

variable "external_id" {
  type        = string
  description = "Word that the worker must say to take the role; the same as external_id of this account in target_accounts of the control plane. Choose it at random, one per target account."
  nullable    = false

  validation {
    # STS takes 2 to 1224; what is shorter than this could be guessed, or is a name that two accounts share.
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 16 && length(var.external_id) <= 1224
    error_message = "external_id has 16 to 1224 characters: letters, digits and _ + = , . @ : / -."
  }
}

variable "recovery_regions" {
  type        = set(string)
  description = "Regions that DRS recovers this account's servers in."
  nullable    = false

  validation {
    condition     = length(var.recovery_regions) > 0 && alltrue([for region in var.recovery_regions : can(regex(local.region_pattern, region))])
    error_message = "recovery_regions has at least one Region, such as eu-west-1."
  }
}

variable "max_session_seconds" {
  type        = number
  description = "Longest session of the role. The worker takes it from a role of its own, and AWS ends such chained sessions after an hour whatever is set here."
  default     = 3600
  nullable    = false

  validation {
    condition     = var.max_session_seconds >= 3600 && var.max_session_seconds <= 43200
    error_message = "max_session_seconds is between 3600 and 43200."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "Boundary that the account asks of its roles."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is the ARN of a managed policy."
  }
}

variable "tag_jobs" {
  type        = bool
  description = "Whether workers put tags on DRS jobs (TIDEGATE_TAG_JOBS of the worker). Off until a drill in dev has shown that DRS takes the tags (docs/deployment.md)."
  default     = false
  nullable    = false
}

variable "source_server_tags" {
  type        = map(string)
  description = "If given, only source servers with these tags can be recovered through this role."
  default     = {}
  nullable    = false
}

variable "launch_role_arns" {
  type        = set(string)
  description = "Roles of instance profiles in the servers' launch templates. DRS's own need not be named."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.launch_role_arns : can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Each of launch_role_arns is the ARN of an IAM role."
  }
}

variable "volume_key_arns" {
  type        = set(string)
  description = "KMS keys of the servers' volumes, where they are customer managed."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.volume_key_arns : can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Each of volume_key_arns is the ARN of a KMS key (not of an alias)."
  }
}

variable "post_launch_documents" {
  type        = set(string)
  description = "SSM documents that DRS may run as post-launch actions: AWS's by name pattern, the account's own by ARN. The default is the worker's own."
  default     = ["AWS-*", "AWSDisasterRecovery-*", "AWSEC2-*", "AWSMigration-*", "AmazonCloudWatch-*"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.post_launch_documents : can(regex("^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:document/[A-Za-z0-9._-]+|A[A-Za-z0-9]+-[A-Za-z0-9*-]+)$", name))])
    error_message = "post_launch_documents are names of AWS documents such as AWS-CreateImage or AWSMigration-*, or ARNs of own documents."
  }
}

variable "automation_role_arns" {
  type        = set(string)
  description = "Roles of this account that own automations among post_launch_documents run as; they may be passed to Systems Manager."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.automation_role_arns : can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Each of automation_role_arns is the ARN of an IAM role."
  }
}

variable "additional_worker_policies" {
  type        = map(string)
  description = "Managed policies the role has besides, ARNs by any name: what own automations take that DRS runs in its name, such as ec2:CreateImage."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.additional_worker_policies : can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Each of additional_worker_policies is the ARN of a managed policy."
  }

  validation {
    condition     = length(var.additional_worker_policies) <= 6
    error_message = "additional_worker_policies has at most 6: IAM attaches 10 managed policies to a role, and 4 are Tidegate's."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the role, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
