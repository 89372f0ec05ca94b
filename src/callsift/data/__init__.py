"""Manifests, splits, and the calls that ship with callsift."""
