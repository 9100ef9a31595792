variable "region" {
  description = "The recovery Region: the control plane lives where servers are recovered to."
  type        = string
}

variable "protected_regions" {
  description = "Regions whose servers are protected."
  type        = set(string)
}

variable "account_id" {
  description = "The only account this may be applied to, against the wrong credentials in a shell."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "vpc_id" {
  description = "VPC of the workers."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the workers, in at least two Availability Zones."
  type        = set(string)
}

variable "assign_public_ip" {
  description = "Give workers public addresses, where the subnets have neither NAT gateway nor endpoints."
  type        = bool
  default     = false
}

variable "worker_image" {
  description = "The worker's image by digest; null for the first apply, which makes the repository to push it to."
  type        = string
  default     = null
}

variable "workers_enabled" {
  description = "Run workers on ECS Fargate. False: they run elsewhere, with the outputs env and worker_policies."
  type        = bool
  default     = true
}

variable "target_role_arns" {
  description = "Roles in other accounts that workers may assume."
  type        = set(string)
  default     = []
}

variable "launch_role_arns" {
  description = "Roles of instance profiles in the servers' launch templates, beside DRS's own."
  type        = set(string)
  default     = []
}

variable "volume_key_arns" {
  description = "KMS keys of the servers' volumes, where they are not the AWS managed key."
  type        = set(string)
  default     = []
}

variable "catalogue_path" {
  description = "Folder with plans/*.json and protection-groups/*.json; null: none."
  type        = string
  default     = null
}

variable "notification_emails" {
  description = "Addresses that are told about pauses, failures and ends."
  type        = set(string)
  default     = []
}

variable "deletion_protection" {
  description = "Protect the tables against deletion. Before destroy, apply false."
  type        = bool
  default     = true
}
