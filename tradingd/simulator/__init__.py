"""A local Alpaca: exchange core, wire semantics, market generator, tapes."""
