"""The benchmark: the whole server under load, beside one built in the obvious way.

Everything here talks to its subjects as the world does: OCPP over WebSocket, pages over HTTP, and the counters that the
operating system keeps for a process. Nothing is imported from the server's own code.
"""
