# Events come in over Kinesis (or HTTP), a function writes them to a bucket as Parquet, the platform reads bucket or stream.
locals {
  name = "${var.project}-${var.environment}"
}

module "network" {
  source = "./modules/network"

  name  = local.name
  cidr  = var.cidr
  zones = var.zones
}

module "storage" {
  source = "./modules/storage"

  name            = local.name
  kms_key_arn     = var.kms_key_arn
  force_destroy   = var.force_destroy
  noncurrent_days = var.noncurrent_days
  tls_only        = !startswith(var.aws_endpoint_url, "http://")
}

module "stream" {
  source = "./modules/stream"

  name            = local.name
  shards          = var.shards
  retention_hours = var.retention_hours
  kms_key_arn     = var.kms_key_arn
}

module "identity" {
  source = "./modules/identity"

  name          = local.name
  function_name = "${local.name}-events"
  bucket_arn    = module.storage.bucket_arn
  stream_arn    = module.stream.arn
  kms_key_arn   = var.kms_key_arn
}

module "function" {
  source = "./modules/function"

  name               = "${local.name}-events"
  zip                = var.lambda_zip
  layers             = var.lambda_layers
  memory             = var.lambda_memory
  concurrency        = var.lambda_concurrency
  http               = var.http
  log_days           = var.log_days
  role_arn           = module.identity.function_role_arn
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.security_group_id]
  bucket             = module.storage.bucket
  stream_arn         = module.stream.arn
  kms_key_arn        = var.kms_key_arn
  aws_endpoint_url   = var.aws_endpoint_url
}
