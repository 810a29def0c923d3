"""Mails about failures, sent to real mail servers."""
