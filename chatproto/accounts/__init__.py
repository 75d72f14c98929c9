"""Who may: accounts with passwords, through twisted.cred, and keys that are let in without one."""
