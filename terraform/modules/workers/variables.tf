variable "name_prefix" {
  description = "Stands before the names of cluster, service, security group and alarms."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending in a hyphen."
  }
}

variable "names" {
  description = "Names that policies refer to, as the module contract gives them."
  type = object({
    repository_name     = string
    log_group_name      = string
    task_role_name      = string
    execution_role_name = string
  })

  validation {
    condition     = var.names.task_role_name != var.names.execution_role_name
    error_message = "The task role (what the worker may do) and the execution role (what ECS may do to start it) must be two roles."
  }
}

variable "region" {
  description = "Region of the service."
  type        = string
}

variable "trust_policy" {
  description = "Who may assume the two roles, JSON."
  type        = string

  validation {
    condition     = can(jsondecode(var.trust_policy).Statement)
    error_message = "trust_policy must be a policy document."
  }
}

variable "task_policies" {
  description = "What the worker may do, policy documents by name."
  type        = map(string)

  validation {
    condition     = length(var.task_policies) > 0 && alltrue([for policy in var.task_policies : can(jsondecode(policy).Statement)])
    error_message = "task_policies must be policy documents, at least one."
  }
}

variable "additional_task_policies" {
  description = "Managed policies the worker has besides, ARNs by any name: what the company's own automations take that DRS runs in its name."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.additional_task_policies : can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "additional_task_policies must be ARNs of managed policies."
  }

  validation {
    condition     = length(var.additional_task_policies) + length(var.task_policies) <= 10
    error_message = "additional_task_policies are too many: IAM attaches 10 managed policies to a role unless its quota was raised."
  }
}

variable "execution_policy" {
  description = "What ECS may do to start the worker, a policy document."
  type        = string

  validation {
    condition     = can(jsondecode(var.execution_policy).Statement)
    error_message = "execution_policy must be a policy document."
  }
}

variable "activity_arns" {
  description = "Activity ARNs by contract name."
  type        = map(string)

  validation {
    condition     = length(var.activity_arns) > 0 && alltrue([for arn in var.activity_arns : can(regex("^arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:activity:.+$", arn))])
    error_message = "activity_arns must be ARNs of activities, at least one."
  }
}

variable "table_names" {
  description = "Table names by contract key."
  type        = map(string)

  validation {
    condition     = length(var.table_names) > 0
    error_message = "table_names must name the tables."
  }
}

variable "reach" {
  description = "Where the worker may recover (TIDEGATE_REGIONS, TIDEGATE_TARGET_ACCOUNTS), as the module contract gives it."
  type        = map(string)

  validation {
    condition     = try(length(var.reach["TIDEGATE_REGIONS"]), 0) > 0 && can(keys(jsondecode(var.reach["TIDEGATE_TARGET_ACCOUNTS"]))) && length(var.reach) == 2
    error_message = "reach must hold TIDEGATE_REGIONS and TIDEGATE_TARGET_ACCOUNTS."
  }
}

variable "image" {
  description = "Image of the worker by digest. Null: make repository, cluster and roles only, so that there is somewhere to push the first image to."
  type        = string
  default     = null

  validation {
    # A tag can be moved: what runs in a disaster must be what ran in the drill.
    condition     = var.image == null || can(regex("^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must be named by digest: <registry>/<repository>@sha256:<64 hex digits>."
  }
}

variable "vpc_id" {
  description = "VPC of the workers."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id must be the id of a VPC."
  }
}

variable "subnet_ids" {
  description = "Subnets of the workers, in at least two Availability Zones."
  type        = set(string)

  validation {
    condition     = length(var.subnet_ids) >= 2 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids must be the ids of at least two subnets."
  }
}

variable "assign_public_ip" {
  description = "Give tasks public addresses, for public subnets without NAT gateway or endpoints."
  type        = bool
  default     = false
}

variable "egress_cidr_blocks" {
  description = "Where workers may connect to, on port 443 only. With VPC endpoints for everything: the VPC's own block."
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for block in var.egress_cidr_blocks : can(cidrhost(block, 0))])
    error_message = "egress_cidr_blocks must be CIDR blocks."
  }
}

variable "egress_prefix_list_ids" {
  description = "Prefix lists that workers may connect to, such as DynamoDB's and S3's behind gateway endpoints."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.egress_prefix_list_ids : can(regex("^pl-[0-9a-f]{8,17}$", id))])
    error_message = "egress_prefix_list_ids must be ids of prefix lists."
  }
}

variable "cpu" {
  description = "CPU units of a task, 1024 to a core."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "cpu must be 256, 512, 1024, 2048 or 4096: a worker waits more than it computes."
  }
}

variable "memory" {
  description = "Memory of a task in MiB. It must fit cpu as Fargate has it."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= 512 && var.memory <= 30720 && floor(var.memory) == var.memory
    error_message = "memory must be 512 to 30720 MiB."
  }
}

variable "cpu_architecture" {
  description = "Of the image."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "desired_count" {
  description = "Tasks. Two, in two zones, outlive the loss of one."
  type        = number
  default     = 2

  validation {
    condition     = var.desired_count >= 1 && var.desired_count <= 20 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count must be 1 to 20."
  }
}

variable "stop_timeout" {
  description = "Seconds from SIGTERM to SIGKILL. It must be longer than a drain (docs/worker-runtime.md)."
  type        = number
  default     = 120

  validation {
    condition     = var.stop_timeout >= 1 && var.stop_timeout <= 120 && floor(var.stop_timeout) == var.stop_timeout
    error_message = "stop_timeout must be a whole number from 1 to 120: Fargate allows no more."
  }
}

variable "pollers" {
  description = "Open long polls per activity and task (TIDEGATE_POLLERS)."
  type        = number
  default     = 4

  validation {
    condition     = var.pollers >= 1 && var.pollers <= 100 && floor(var.pollers) == var.pollers
    error_message = "pollers must be a whole number from 1 to 100."
  }
}

variable "slots" {
  description = "Tasks of one activity at once, per worker (TIDEGATE_SLOTS)."
  type        = number
  default     = 16

  validation {
    condition     = var.slots >= 1 && var.slots <= 1000 && floor(var.slots) == var.slots
    error_message = "slots must be a whole number from 1 to 1000."
  }
}

variable "tag_jobs" {
  description = "Tag DRS jobs (TIDEGATE_TAG_JOBS); the task policy must allow it. Off until a drill in dev has shown that DRS takes the tags (docs/deployment.md)."
  type        = bool
  default     = false
}

variable "log_filter" {
  description = "What the worker logs (TIDEGATE_LOG)."
  type        = string
  default     = "info"

  validation {
    condition     = can(regex("^[a-z0-9_:=,]+$", var.log_filter))
    error_message = "log_filter must be a filter such as info or info,tidegate_runtime=debug."
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
  description = "Customer managed key of repository and log group; null: AWS's own keys. It cannot be changed once the repository exists."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a KMS key ARN (not an alias)."
  }
}

variable "kept_images" {
  description = "Images kept in the repository; older ones expire. Keep as many as you may want to roll back to."
  type        = number
  default     = 30

  validation {
    condition     = var.kept_images >= 2 && var.kept_images <= 1000 && floor(var.kept_images) == var.kept_images
    error_message = "kept_images must be a whole number from 2 to 1000."
  }
}

variable "force_delete_repository" {
  description = "Let destroy remove the repository together with its images."
  type        = bool
  default     = false
}

variable "wait_for_steady_state" {
  description = "Let apply wait until the new tasks are healthy, and fail if they are not."
  type        = bool
  default     = true
}

variable "autoscaling" {
  description = "Add tasks while work waits for a worker: from desired_count up to max_count, when a task waited longer than wait_seconds. Null: off."
  type = object({
    max_count    = number
    wait_seconds = optional(number, 5)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || (try(var.autoscaling.max_count, 0) >= 2 && try(var.autoscaling.max_count, 0) <= 50 && try(floor(var.autoscaling.max_count) == var.autoscaling.max_count, false) && try(var.autoscaling.wait_seconds, 0) >= 1)
    error_message = "autoscaling.max_count must be a whole number from 2 to 50, and wait_seconds at least 1."
  }
}
