"""Texts that ship with rankguard; see NOTICE."""
