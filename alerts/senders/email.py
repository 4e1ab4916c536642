"""Email over SMTP: plain text, one thread per conversation."""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Literal

from alerts import cut
from alerts.message import Message, Outcome, Verdict
from alerts.senders.tone import as_text
from alerts.words import Author, Story

SUBJECT_CHARS = 200


@dataclass(frozen=True, slots=True)
class EmailTarget:
    """Where and how. `password` may be empty, together with `username`."""

    server: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    sender: str
    to: Sequence[str]
    username: str = ""
    password: str = ""
    ca_file: Path | None = None
    timeout_s: float = 20.0


class EmailSender:
    """One connection for each message."""

    def __init__(self, target: EmailTarget, author: Author, clock: Callable[[], float]) -> None:
        self._target = target
        self._author = author
        self._clock = clock

    def send(self, message: Message) -> Outcome:  # noqa: PLR0911 one for each kind of error
        target = self._target
        letter = compose(
            self._author.write(message), message, target.sender, target.to, self._clock()
        )
        try:
            refused = self._hand_over(letter)
        except smtplib.SMTPAuthenticationError as error:
            return Outcome(
                Verdict.MISCONFIGURED, f"{target.server}: login refused {error.smtp_code}"
            )
        except smtplib.SMTPRecipientsRefused as error:
            code = min((code for code, _ in error.recipients.values()), default=550)
            return _judge(target.server, code, "no recipient accepted", Verdict.MISCONFIGURED)
        except smtplib.SMTPSenderRefused as error:
            code = error.smtp_code
            return _judge(target.server, code, "sender refused", Verdict.MISCONFIGURED)
        except smtplib.SMTPResponseException as error:
            return _judge(target.server, error.smtp_code, "not accepted", Verdict.REFUSED)
        except smtplib.SMTPNotSupportedError:
            return Outcome(Verdict.MISCONFIGURED, f"{target.server}: does not offer STARTTLS")
        except ssl.SSLCertVerificationError as error:
            return Outcome(Verdict.RETRY, f"{target.server}: TLS: {error.verify_message}")
        except (OSError, smtplib.SMTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            return Outcome(Verdict.RETRY, f"{target.server}: {str(reason).lower()}")
        note = f"; refused: {', '.join(sorted(refused))}" if refused else ""
        return Outcome(Verdict.DELIVERED, f"accepted by {target.server}{note}")

    def close(self) -> None:
        """Nothing is kept open between messages."""

    def _hand_over(self, letter: EmailMessage) -> Sequence[str]:
        """Send; the recipients that were refused while others were not."""
        target = self._target
        context = ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
        # its default asks the resolver for our full name, which has no time limit
        name = socket.gethostname()
        if target.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                target.server, target.port, name, timeout=target.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(target.server, target.port, name, timeout=target.timeout_s)
        with server:
            if target.tls == "starttls":
                server.starttls(context=context)
            if target.username:
                server.login(target.username, target.password)
            return list(server.send_message(letter))


def compose(
    story: Story, message: Message, sender: str, to: Sequence[str], now: float
) -> EmailMessage:
    """The letter. PURE.

    The same message has the same Message-ID on every try, so that a mailbox may drop doubles;
    letters of one conversation refer to the same thread.
    """
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = ", ".join(to)
    subject = re.sub(r"\s+", " ", cut.clean(story.headline))
    letter["Subject"] = cut.to_chars(subject, SUBJECT_CHARS)
    letter["Date"] = formatdate(now)
    letter["Message-ID"] = f"<{message.key}@rankguard>"
    thread = hashlib.sha256(message.group.encode()).hexdigest()[:16]
    letter["References"] = f"<{thread}@rankguard>"
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Rankguard-Group"] = thread
    letter.set_content(as_text(story).encode("utf-8", "replace").decode() + "\n")
    return letter


def _judge(server: str, code: int, what: str, permanent: Verdict) -> Outcome:
    """4xx may pass later; 5xx will not."""
    verdict = permanent if code >= 500 else Verdict.RETRY
    return Outcome(verdict, f"{server}: {what} {code}")
