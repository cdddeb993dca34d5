variable "name" {
  description = "First part of every name."
  type        = string
}

variable "function_name" {
  description = "The function the role is for; its log group and queue are named after it."
  type        = string
}

variable "bucket_arn" {
  description = "The bucket of events."
  type        = string
}

variable "stream_arn" {
  description = "The stream of events."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of your own; null: the account's keys, which need no permission."
  type        = string
}
