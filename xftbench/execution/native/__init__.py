"""Programs in other languages: how each is compiled, run and judged, and what of it is on this machine."""
