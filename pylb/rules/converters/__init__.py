"""Converters, by subject. Importing the package registers all of them."""

from pylb.rules.converters import addresses, dates, digests, encodings, maps, numbers, text

__all__ = ["addresses", "dates", "digests", "encodings", "maps", "numbers", "text"]
