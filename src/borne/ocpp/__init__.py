"""Pure protocol: OCPP-J frames, conversations and dialects, translated to and from core words. Decides nothing."""
