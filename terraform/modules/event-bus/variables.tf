variable "name" {
  type        = string
  description = "Name of the bus: the deployment's prefix."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "machine_role_arns" {
  type        = set(string)
  description = "Roles of the state machines: the only ones that may put events here."
  nullable    = false

  validation {
    condition     = length(var.machine_role_arns) > 0 && alltrue([for arn in var.machine_role_arns : can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "machine_role_arns are ARNs of IAM roles, at least one: without any nobody would ever be told."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the bus, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
