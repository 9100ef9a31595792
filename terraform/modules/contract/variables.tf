variable "name_prefix" {
  description = "Stands before every contract name: <prefix>-recovery, <prefix>-execution-history."
  type        = string

  validation {
    # 32: the longest role name is 31 characters behind the prefix, and IAM takes 64.
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending in a hyphen."
  }
}

variable "partition" {
  description = "AWS partition of the control plane."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "aws-us-gov"], var.partition)
    error_message = "partition must be aws or aws-us-gov; there is no DRS in the others."
  }
}

variable "region" {
  description = "Region of the control plane, which is the recovery Region."
  type        = string

  validation {
    condition     = can(regex(local.contract.regionPattern, var.region))
    error_message = "region must be a Region name such as us-west-2."
  }
}

variable "account_id" {
  description = "Account of the control plane."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "protected_regions" {
  description = "Regions whose servers are protected. The control plane may not be in one of them: it must outlive them."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.protected_regions : can(regex(local.contract.regionPattern, region))])
    error_message = "protected_regions must be Region names such as us-east-1."
  }
}

variable "recovery_regions" {
  description = "Regions DRS launches in, as the plans name them; empty: the control plane's own."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.recovery_regions : can(regex(local.contract.regionPattern, region))])
    error_message = "recovery_regions must be Region names such as us-west-2."
  }
}

variable "target_accounts" {
  description = "Other accounts whose servers may be recovered, by account id: the role that workers take there, and the external id its trust policy asks for. Plans name the account (accountId) and nothing more."
  type = map(object({
    role_arn    = string
    external_id = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for id, target in var.target_accounts : can(regex("^[0-9]{12}$", id)) && can(regex("^arn:aws[a-z-]*:iam::${id}:role/[A-Za-z0-9+=,.@_/-]+$", target.role_arn))])
    error_message = "target_accounts must map account ids (12 digits) to the ARN of a role in that same account, without wildcards."
  }

  validation {
    condition     = alltrue([for target in var.target_accounts : target.external_id == null || (can(regex("^[A-Za-z0-9_+=,.@:/-]{2,}$", target.external_id)) && try(length(target.external_id), 0) <= 1224)])
    error_message = "An external_id of target_accounts has 2 to 1224 characters: letters, digits and _ + = , . @ : / -."
  }
}

variable "recovers_own_account" {
  description = "Whether workers also launch servers in the control plane's own account. False: only those of target_accounts."
  type        = bool
  default     = true
}

variable "launch_role_arns" {
  description = "Roles of instance profiles in the servers' launch templates. DRS's own launch roles need not be named."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.launch_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "launch_role_arns must be IAM role ARNs without wildcards."
  }
}

variable "source_server_tags" {
  description = "If given, workers may start recoveries of source servers with these tags only."
  type        = map(string)
  default     = {}
}

variable "volume_key_arns" {
  description = "KMS keys of the servers' volumes, where they are not the AWS managed key."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.volume_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "volume_key_arns must be KMS key ARNs (not aliases)."
  }
}

variable "post_launch_documents" {
  description = "SSM documents that DRS may run as post-launch actions: AWS's by name pattern, the account's own by ARN."
  type        = set(string)
  default     = ["AWS-*", "AWSDisasterRecovery-*", "AWSEC2-*", "AWSMigration-*", "AmazonCloudWatch-*"]

  validation {
    condition     = alltrue([for name in var.post_launch_documents : can(regex("^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:document/[A-Za-z0-9._-]+|A[A-Za-z0-9]+-[A-Za-z0-9*-]+)$", name))])
    error_message = "post_launch_documents must be names of AWS documents such as AWS-CreateImage or AWSMigration-*, or ARNs of own documents."
  }
}

variable "automation_role_arns" {
  description = "Roles that own automations among post_launch_documents run as (AutomationAssumeRole), which the worker must be able to pass."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.automation_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "automation_role_arns must be IAM role ARNs without wildcards."
  }
}

variable "tag_jobs" {
  description = "Whether workers tag DRS jobs (TIDEGATE_TAG_JOBS), which takes drs:TagResource. Off until a drill in dev has shown that DRS takes the tags (docs/deployment.md)."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "Customer managed key of tables and log groups; null: AWS's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a KMS key ARN (not an alias)."
  }
}

variable "image_repository_arn" {
  description = "ECR repository of the worker's image, where it is not the one this deployment makes."
  type        = string
  default     = null

  validation {
    condition     = var.image_repository_arn == null || can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/.+$", var.image_repository_arn))
    error_message = "image_repository_arn must be the ARN of an ECR repository."
  }
}
