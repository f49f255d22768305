"""What every answer carries, whatever it says: what the service is for, and how strict a browser is to be with it."""

from __future__ import annotations

from cmelt.serving.notice import NOTICE

#: Nothing from elsewhere, nothing inline, nothing that frames the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: The SHA-256 of the weights at work, on every answer once they are loaded: `cmelt provenance` goes on from there.
MODEL_HEADER = "X-CMelt-Model"
STANDING_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-CMelt-Intended-Use": NOTICE,
}
