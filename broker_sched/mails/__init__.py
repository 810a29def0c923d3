"""Mails about tasks that failed: what is in them, whom they go to, and how they are sent."""
