variable "project" {
  description = "First part of every name."
  type        = string
  default     = "pdp"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.project))
    error_message = "Lower-case letters, digits and dashes, 2 to 16 of them, for example pdp."
  }
}

variable "environment" {
  description = "Second part of every name: dev, prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "Lower-case letters and digits, 2 to 10 of them, for example dev."
  }
}

variable "region" {
  description = "Where everything lies."
  type        = string
  default     = "eu-central-1"
}

variable "aws_endpoint_url" {
  description = "Address of an emulator, for example http://127.0.0.1:5000; empty for the cloud."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^/?#]+/?)?$", var.aws_endpoint_url))
    error_message = "An address such as http://127.0.0.1:5000, or nothing."
  }
}

variable "cidr" {
  description = "Addresses of the private network."
  type        = string
  default     = "10.42.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 0))
    error_message = "A block such as 10.42.0.0/20 that leaves room for subnets."
  }
}

variable "zones" {
  description = "How many availability zones get a subnet."
  type        = number
  default     = 2

  validation {
    condition     = var.zones >= 1 && var.zones <= 6
    error_message = "1 to 6."
  }
}

variable "kms_key_arn" {
  description = "A key of your own for bucket, stream, queue and log; null: the keys AWS manages for the account."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether `destroy` may delete a bucket that still holds events."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "Days an overwritten or deleted object is kept."
  type        = number
  default     = 90
}

variable "shards" {
  description = "Shards of the stream, 1 MB/s each; null: as many as are needed (on demand)."
  type        = number
  default     = null
}

variable "retention_hours" {
  description = "How long the stream keeps an event: the time a reader may be away."
  type        = number
  default     = 168

  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 8760
    error_message = "24 to 8760."
  }
}

variable "lambda_zip" {
  description = "The function's code: what `python main.py events build-lambda` wrote."
  type        = string
}

variable "lambda_layers" {
  description = "ARNs of layers; one of them brings pyarrow."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.lambda_layers) > 0 || var.aws_endpoint_url != ""
    error_message = "In the cloud the function needs a layer with pyarrow, for example AWS's own AWSSDKPandas-Python312 of your region."
  }
}

variable "lambda_memory" {
  description = "MB; processor time is given in proportion."
  type        = number
  default     = 512
}

variable "lambda_concurrency" {
  description = "How many may run at once; -1: as many as the account allows."
  type        = number
  default     = -1
}

variable "http" {
  description = "Whether the function also has an address of its own for events over HTTP; requests must be signed (AWS_IAM)."
  type        = bool
  default     = false
}

variable "log_days" {
  description = "Days a log is kept."
  type        = number
  default     = 30
}
