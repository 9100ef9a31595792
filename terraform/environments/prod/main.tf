# prod: what recovers the business.
# Wiring only: what is not set here is the module's default.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Application = "tidegate"
      Environment = "prod"
      ManagedBy   = "terraform"
    }
  }
}

module "tidegate" {
  source = "../../modules/tidegate"

  name_prefix       = "tidegate-prod"
  region            = var.region
  protected_regions = var.protected_regions

  target_role_arns = var.target_role_arns
  launch_role_arns = var.launch_role_arns
  volume_key_arns  = var.volume_key_arns
  catalogue_path   = var.catalogue_path

  deletion_protection    = var.deletion_protection
  encryption_key_enabled = true

  operators = {
    start_through_alias_only = true
    starters_may_not_approve = true
  }

  notification_emails = var.notification_emails

  workers_enabled = var.workers_enabled
  workers = {
    image            = var.worker_image
    vpc_id           = var.vpc_id
    subnet_ids       = var.subnet_ids
    assign_public_ip = var.assign_public_ip
    desired_count    = 2
    cpu              = 1024
    memory           = 2048

    autoscaling = { max_count = 6 }
  }
}
