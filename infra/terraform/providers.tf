# An address switches from the cloud to an emulator of it (moto, LocalStack): nothing of the cloud is then asked, no account is needed.
locals {
  endpoint = var.aws_endpoint_url == "" ? null : var.aws_endpoint_url
  emulated = local.endpoint != null
}

provider "aws" {
  region = var.region

  access_key                  = local.emulated ? "emulator" : null
  secret_key                  = local.emulated ? "emulator" : null
  s3_use_path_style           = local.emulated
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated
  skip_region_validation      = local.emulated

  endpoints {
    cloudwatchlogs = local.endpoint
    ec2            = local.endpoint
    iam            = local.endpoint
    kinesis        = local.endpoint
    lambda         = local.endpoint
    s3             = local.endpoint
    sqs            = local.endpoint
    sts            = local.endpoint
  }

  # Emulators forget some of the tags a thing is created with, and every plan would then want to mend them.
  dynamic "default_tags" {
    for_each = local.emulated ? [] : ["tags"]

    content {
      tags = {
        project     = var.project
        environment = var.environment
        managed_by  = "terraform"
      }
    }
  }
}
