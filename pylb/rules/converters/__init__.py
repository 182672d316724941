"""Converters, by subject. Importing the package registers all of them."""

from pylb.rules.converters import addresses, dates, digests, encodings, maps, numbers, tables, text

__all__ = ["addresses", "dates", "digests", "encodings", "maps", "numbers", "tables", "text"]
