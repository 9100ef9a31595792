# test: drills of real plans before they reach prod. As prod, but easy to remove.
# Wiring only: what is not set here is the module's default.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Application = "tidegate"
      Environment = "test"
      ManagedBy   = "terraform"
    }
  }
}

module "tidegate" {
  source = "../../modules/tidegate"

  name_prefix       = "tidegate-test"
  region            = var.region
  protected_regions = var.protected_regions
  recovery_regions  = var.recovery_regions

  target_accounts       = var.target_accounts
  recovers_own_account  = var.recovers_own_account
  launch_role_arns      = var.launch_role_arns
  source_server_tags    = var.source_server_tags
  volume_key_arns       = var.volume_key_arns
  post_launch_documents = var.post_launch_documents
  automation_role_arns  = var.automation_role_arns
  tag_jobs              = var.tag_jobs
  catalogue_path        = var.catalogue_path

  additional_worker_policies = var.additional_worker_policies

  deletion_protection    = var.deletion_protection
  encryption_key_enabled = true

  notification_emails = var.notification_emails
  paused_minutes      = var.paused_minutes

  workers_enabled = var.workers_enabled
  workers = {
    image            = var.worker_image
    vpc_id           = var.vpc_id
    subnet_ids       = var.subnet_ids
    assign_public_ip = var.assign_public_ip
    cpu_architecture = var.cpu_architecture
    desired_count    = 2

    force_delete_repository = true
  }

  vpc_endpoints = var.vpc_endpoints
}
