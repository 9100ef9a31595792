variable "name_prefix" {
  type        = string
  description = "Name of the deployment, such as tidegate-prod; the key's alias is alias/name_prefix."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }

  validation {
    condition     = !startswith(var.name_prefix, "aws")
    error_message = "Aliases that begin with aws belong to AWS."
  }
}

variable "partition" {
  type        = string
  description = "AWS partition."
  default     = "aws"
  nullable    = false

  validation {
    condition     = contains(["aws", "aws-cn", "aws-us-gov"], var.partition)
    error_message = "partition is aws, aws-cn or aws-us-gov."
  }
}

variable "region" {
  type        = string
  description = "Region of the deployment: the key is used there only."
  nullable    = false
}

variable "account_id" {
  type        = string
  description = "Account of the deployment, whose IAM policies govern the key."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id has 12 digits."
  }
}

variable "administrator_arns" {
  type        = set(string)
  description = "Roles that may manage the key, but not use it. Empty: whoever the account's IAM policies allow, which is AWS's default."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.administrator_arns : can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Each of administrator_arns is the ARN of an IAM role."
  }
}

variable "deletion_window_days" {
  type        = number
  description = "Days between `terraform destroy` and the end of the key, and of everything encrypted with it that is left (table backups)."
  default     = 30
  nullable    = false

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30 && floor(var.deletion_window_days) == var.deletion_window_days
    error_message = "deletion_window_days is a whole number from 7 to 30."
  }
}

variable "rotation_days" {
  type        = number
  description = "Days between rotations of the key's material. Old material stays usable; nothing has to be encrypted again."
  default     = 365
  nullable    = false

  validation {
    condition     = var.rotation_days >= 90 && var.rotation_days <= 2560 && floor(var.rotation_days) == var.rotation_days
    error_message = "rotation_days is a whole number from 90 to 2560."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the key, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
