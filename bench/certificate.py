"""A certificate for the TLS listener of one run; the generator trusts it as its own authority."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> str:
    """Write certificate.pem and key.pem for 127.0.0.1 to `folder`; gives the file to trust: it signs itself.

    Needs the openssl program. Raises OSError without it and CalledProcessError when it refuses.
    """
    path = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(path), "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return str(path)
