"""Normalisers: rewrite what says when, where and by whom an archive was made."""
