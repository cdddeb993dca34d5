# What the environments share: the code, where the state lies, and that AWS_ENDPOINT_URL switches from the cloud to an emulator.
locals {
  environment = basename(get_original_terragrunt_dir())
  region      = get_env("AWS_REGION", "eu-central-1")
  endpoint    = get_env("AWS_ENDPOINT_URL", "")
  infra       = dirname(get_parent_terragrunt_dir())
}

terraform {
  source = "${local.infra}//terraform"

  extra_arguments "environment" {
    commands           = get_terraform_commands_that_need_vars()
    required_var_files = ["${local.infra}/terraform/environments/${local.environment}.tfvars"]
  }
}

# One bucket for the states of all environments; of two who apply at once the second is refused.
remote_state {
  backend = "s3"

  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }

  config = {
    bucket                      = get_env("PDP_TERRAFORM_STATES")
    key                         = "${local.environment}/terraform.tfstate"
    region                      = local.region
    encrypt                     = true
    use_lockfile                = true
    use_path_style              = local.endpoint != ""
    skip_credentials_validation = local.endpoint != ""
    skip_metadata_api_check     = local.endpoint != ""
  }
}

inputs = {
  region           = local.region
  aws_endpoint_url = local.endpoint
  lambda_zip       = get_env("PDP_LAMBDA_ZIP", "${dirname(local.infra)}/build/events.zip")
}
