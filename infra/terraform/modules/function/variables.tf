variable "name" {
  description = "The function's name."
  type        = string
}

variable "zip" {
  description = "Its code."
  type        = string
}

variable "layers" {
  description = "ARNs of layers; one of them brings pyarrow."
  type        = list(string)
}

variable "memory" {
  description = "MB."
  type        = number
}

variable "concurrency" {
  description = "How many may run at once; -1: as many as the account allows."
  type        = number
}

variable "http" {
  description = "Whether it has an address for signed requests."
  type        = bool
}

variable "log_days" {
  description = "Days its log is kept."
  type        = number
}

variable "role_arn" {
  description = "What it runs as."
  type        = string
}

variable "subnet_ids" {
  description = "Where it runs."
  type        = list(string)
}

variable "security_group_ids" {
  description = "What it may reach from there."
  type        = list(string)
}

variable "bucket" {
  description = "Where it writes."
  type        = string
}

variable "stream_arn" {
  description = "What it is fed by."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of your own; null: the keys the services own."
  type        = string
}

variable "aws_endpoint_url" {
  description = "Address of an emulator for the function's own writing; empty for the cloud."
  type        = string
}
