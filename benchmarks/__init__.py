"""
What Reiterate costs: time, memory, and calls, beside the floor and the peers.

    workloads ─► wire (a server) ─► Reiterate | the floor | the peers ─► figures ─► results.json ─► tables, plots

``make bench`` measures; ``benchmarks/RESULTS.md`` tells. Every module here says what it measures and how.
"""
