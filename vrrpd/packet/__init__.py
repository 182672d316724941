"""Bytes of the VRRP protocol and of its announcements, to values and back; knows no socket and no clock."""
