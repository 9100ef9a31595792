variable "name_prefix" {
  description = "Stands before every name, such as tidegate-dev. Two deployments of one account and Region need two."
  type        = string
}

variable "region" {
  description = "Region of the control plane: the recovery Region, and the one the provider is set to."
  type        = string
}

variable "protected_regions" {
  description = "Regions whose servers are protected; the control plane is refused there."
  type        = set(string)

  validation {
    condition     = length(var.protected_regions) > 0
    error_message = "protected_regions must name at least one Region, so that the control plane cannot be put into it by mistake."
  }
}

variable "recovery_regions" {
  description = "Regions DRS launches in, as the plans name them; empty: the control plane's own."
  type        = set(string)
  default     = []
}

variable "target_accounts" {
  description = "Other accounts whose servers may be recovered, by account id: the role that workers take there (module target-account-role makes one), and the external id its trust policy asks for."
  type = map(object({
    role_arn    = string
    external_id = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "recovers_own_account" {
  description = "Whether workers also launch servers in the control plane's own account."
  type        = bool
  default     = true
}

variable "launch_role_arns" {
  description = "Roles of instance profiles in the servers' launch templates, beside DRS's own."
  type        = set(string)
  default     = []
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
}

variable "post_launch_documents" {
  description = "SSM documents that DRS may run as post-launch actions: AWS's by name pattern, own ones by ARN."
  type        = set(string)
  default     = ["AWS-*", "AWSDisasterRecovery-*", "AWSEC2-*", "AWSMigration-*", "AmazonCloudWatch-*"]
  nullable    = false
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
  description = "Tag DRS jobs with execution, wave and intent. Off until a drill in dev has shown that DRS takes the tags (docs/deployment.md)."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Protect the tables against deletion. To destroy a deployment, apply false first."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Keep 35 days of continuous backups of the tables."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Customer managed key of tables, log groups and notifications; null: AWS's own keys."
  type        = string
  default     = null
}

variable "encryption_key_enabled" {
  description = "Make a customer managed key for tables, log groups, repository and notifications. Decide before the first apply: an ECR repository keeps the key it was made with."
  type        = bool
  default     = false

  validation {
    condition     = !(var.encryption_key_enabled && var.kms_key_arn != null)
    error_message = "Give kms_key_arn or let encryption_key_enabled make a key, not both."
  }
}

variable "log_level" {
  description = "Which execution events Step Functions logs: ALL, ERROR, FATAL or OFF."
  type        = string
  default     = "ALL"
}

variable "log_retention_days" {
  description = "Days that the logs of machines and workers are kept."
  type        = number
  default     = 30
}

variable "tracing_enabled" {
  description = "Trace executions with X-Ray. Null says nothing about it, for endpoints that keep no tracing settings (MiniStack)."
  type        = bool
  default     = true
}

variable "catalogue_path" {
  description = "Folder with plans/*.json and protection-groups/*.json, which go into the tables; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.catalogue_path == null || length(fileset(coalesce(var.catalogue_path, "."), "{plans,protection-groups}/*.json")) > 0
    error_message = "catalogue_path must be a folder with plans/*.json or protection-groups/*.json in it."
  }
}

variable "workers_enabled" {
  description = "Run workers on ECS Fargate. False: they run elsewhere, with the outputs env and worker_policies."
  type        = bool
  default     = true

  validation {
    condition     = !var.workers_enabled || var.workers != null
    error_message = "workers_enabled is true, so workers must say where: vpc_id and subnet_ids."
  }
}

variable "workers" {
  description = "The worker service: its image by digest (null until the first one is pushed), network and size."
  type = object({
    image                   = optional(string)
    vpc_id                  = string
    subnet_ids              = set(string)
    assign_public_ip        = optional(bool, false)
    egress_cidr_blocks      = optional(set(string), ["0.0.0.0/0"])
    egress_prefix_list_ids  = optional(set(string), [])
    cpu                     = optional(number, 512)
    memory                  = optional(number, 1024)
    cpu_architecture        = optional(string, "X86_64")
    desired_count           = optional(number, 2)
    stop_timeout            = optional(number, 120)
    pollers                 = optional(number, 4)
    slots                   = optional(number, 16)
    log_filter              = optional(string, "info")
    autoscaling             = optional(object({ max_count = number, wait_seconds = optional(number, 5) }))
    kept_images             = optional(number, 30)
    force_delete_repository = optional(bool, false)
    wait_for_steady_state   = optional(bool, true)
  })
  default = null
}

variable "notification_emails" {
  description = "Addresses that are told about pauses, failures and ends."
  type        = set(string)
  default     = []
}

variable "announce_succeeded" {
  description = "Tell people about executions that SUCCEEDED, too."
  type        = bool
  default     = true
}

variable "observability_enabled" {
  description = "Make alarms, dashboard and the watch over open gates."
  type        = bool
  default     = true
}

variable "alarms_enabled" {
  description = "Make the alarms; dashboard and watch are made without them, too."
  type        = bool
  default     = true
}

variable "query_definitions_enabled" {
  description = "Save the Logs Insights queries in the account."
  type        = bool
  default     = true
}

variable "events_name_executions" {
  description = "Whether events carry the ARN of the execution that sent them, as Step Functions' do; false for the local stack, whose do not."
  type        = bool
  default     = true
}

variable "paused_minutes" {
  description = "A gate that stands open longer than this raises an alarm."
  type        = number
  default     = 60
  nullable    = false
}

variable "operators" {
  description = "How strict the policies for people are (module operator-policies)."
  type = object({
    start_through_alias_only = optional(bool, false)
    starters_may_not_approve = optional(bool, false)
    approvers_need_mfa       = optional(bool, false)
    approver_source_cidrs    = optional(set(string), [])
  })
  default = {}
}

variable "vpc_endpoints" {
  description = "Reach AWS through endpoints in the workers' VPC instead of a NAT gateway; null: none. Leave out services that the VPC has endpoints for."
  type = object({
    route_table_ids    = set(string)
    interface_services = optional(set(string))
    gateway_services   = optional(set(string))
  })
  default = null

  validation {
    condition     = var.vpc_endpoints == null || var.workers_enabled
    error_message = "vpc_endpoints are for the workers of this deployment, and workers_enabled is false."
  }
}
