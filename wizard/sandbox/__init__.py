"""The sandbox: loopback servers that let the real helm and the real SDKs rehearse a whole setup (DESIGN.md section 6).

It is a rehearsal tool, not a test mock: every answer comes over a socket, TLS and credentials included, and it says
what it does not emulate. It needs the extra `sandbox`.
"""
