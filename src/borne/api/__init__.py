"""JSON for programs: our own API and the wire format that existing clients already speak."""
