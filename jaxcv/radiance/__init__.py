"""Radiance fields: samples along rays, fields that answer for them, volume rendering."""
