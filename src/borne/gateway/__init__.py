"""The sockets that chargers hold: handshake, links and their epochs, commands out, facts in."""
