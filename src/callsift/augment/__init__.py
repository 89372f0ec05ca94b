"""Variations of training calls: what a recording and its text might have been."""

from callsift.augment.variation import Variation, variation_of

__all__ = ["Variation", "variation_of"]
