variable "name" {
  description = "First part of every name."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network."
  type        = string
}

variable "zones" {
  description = "How many availability zones get a subnet."
  type        = number
}
