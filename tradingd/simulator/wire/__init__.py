"""Alpaca's REST and stream semantics without a transport: bytes in, bytes out, time as an argument.

One implementation serves the aiohttp server and the socket-free network of the deterministic simulation,
so what is proven over one holds for the other.
"""
