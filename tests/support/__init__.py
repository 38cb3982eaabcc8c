"""What tests share: the policy on missing servers and browsers, and the servers themselves."""
