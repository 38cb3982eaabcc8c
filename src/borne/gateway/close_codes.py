"""The codes of WebSocket close frames that Borne sends (RFC 6455 §7.4.1)."""

GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
NO_CODE = 1005  # never sent: the charger's close frame held none
BAD_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
TRY_LATER = 1013
