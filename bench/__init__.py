"""The benchmark: the whole server under load, beside one built in the obvious way.

Everything that measures talks to its subjects as the world does: OCPP over WebSocket, pages over HTTP, and the counters that
the operating system keeps for a process. The server's own code is imported only where a database is filled with the past
(`fill`, `fill_history`), and where one part is looked at alone (`charger_list`, `metering`).
"""
