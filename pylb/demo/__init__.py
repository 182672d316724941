"""`pylb demo`: a load balancer with something behind it, on one machine, in one terminal, without root."""
