variable "region" {
  description = "The recovery Region: the control plane lives where servers are recovered to."
  type        = string
}

variable "protected_regions" {
  description = "Regions whose servers are protected."
  type        = set(string)
}

variable "recovery_regions" {
  description = "Regions DRS launches in, as the plans name them; empty: the control plane's own."
  type        = set(string)
  default     = []
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

variable "vpc_endpoints" {
  description = "Reach AWS through endpoints in the workers' VPC instead of a NAT gateway; null: none. Leave out services that the VPC has endpoints for."
  type = object({
    route_table_ids    = set(string)
    interface_services = optional(set(string))
    gateway_services   = optional(set(string))
  })
  default = null
}

variable "worker_image" {
  description = "The worker's image by digest; null for the first apply, which makes the repository to push it to."
  type        = string
  default     = null
}

variable "cpu_architecture" {
  description = "Of the image: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
}

variable "workers_enabled" {
  description = "Run workers on ECS Fargate. False: they run elsewhere, with the outputs env and worker_policies."
  type        = bool
  default     = true
}

variable "target_accounts" {
  description = "Other accounts whose servers may be recovered, by account id: the role that workers take there, and its external id."
  type = map(object({
    role_arn    = string
    external_id = optional(string)
  }))
  default = {}
}

variable "recovers_own_account" {
  description = "Whether workers also launch servers in the control plane's own account."
  type        = bool
  default     = true
}

variable "source_server_tags" {
  description = "If given, workers may start recoveries of source servers with these tags only. Other accounts' roles have their own."
  type        = map(string)
  default     = {}
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

variable "post_launch_documents" {
  description = "SSM documents that DRS may run as post-launch actions: AWS's by name pattern, own ones by ARN; null: AWS's."
  type        = set(string)
  default     = null
}

variable "automation_role_arns" {
  description = "Roles that own automations among post_launch_documents run as; the worker may pass them to Systems Manager."
  type        = set(string)
  default     = []
}

variable "additional_worker_policies" {
  description = "Managed policies the workers have besides, ARNs by any name: what own automations take that DRS runs in their name, such as ec2:CreateImage."
  type        = map(string)
  default     = {}
}

variable "tag_jobs" {
  description = "Tag DRS jobs with execution, wave and intent. Off until a drill in dev has shown that DRS takes the tags."
  type        = bool
  default     = false
}

variable "catalogue_path" {
  description = "Folder with plans/*.json and protection-groups/*.json, seen from this folder; null: none, and no plan can be started by its id."
  type        = string
  default     = null
}

variable "notification_emails" {
  description = "Addresses that are told about pauses, failures and ends."
  type        = set(string)
  default     = []
}

variable "paused_minutes" {
  description = "A gate that stands open longer than this raises an alarm."
  type        = number
  default     = 60
}

variable "deletion_protection" {
  description = "Protect the tables against deletion. Before destroy, apply false."
  type        = bool
  default     = true
}
