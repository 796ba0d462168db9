#!/usr/bin/env python3
"""Offers a scanner's finished slides to the server, and deletes those that the server says it has stored.

For Linux hosts, run every minute; the twin of ImportSlide.ps1, with the same options, log lines and state file.
Needs Python 3.9 or newer and nothing else. How to set it up, and what the log says: docs/scanner.md.
"""

from __future__ import annotations

import argparse
import base64
import errno
import fcntl
import hashlib
import http.client
import json
import logging
import logging.handlers
import os
import re
import signal
import stat
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

MAX_ANSWER_BYTES = 4 * 1024 * 1024  # of a slide of several files, with a name and a checksum for each
MAX_STATE_BYTES = 64 * 1024 * 1024
LOG_BYTES, OLD_LOGS = 1_000_000, 4
# The suffix of a file's name from the server's confirmation until its deletion.
ASIDE = ".confirmed"
RENEW_BEFORE_S = 120
LONGEST_TOKEN_S = 86_400
SECRET_VARIABLE = "VSV_SCANNER_SECRET"  # noqa: S105  a name, not a secret
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
log = logging.getLogger("import_slide")


class SetupError(Exception):
    """An error that lasts until a person changes how the script is called."""


class UnreachableError(Exception):
    """The server sent no complete answer this time."""


class Seen(NamedTuple):
    """A file's state when it was checked; ``modified`` in nanoseconds."""

    size: int
    modified: int
    device: int
    inode: int


class Outcome(NamedTuple):
    """The outcome for a file: a word that docs/scanner.md explains, and a text for people."""

    word: str
    text: str


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Entry:
    """A checksum that is valid as long as the file's size and time stay the same."""

    name: str
    size: int
    modified: str
    sha256: str | None
    confirmed: bool = False


def look(path: Path) -> Seen:
    """Return a file's state; raises OSError where the file is missing or is no regular file."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "no plain file")
    return Seen(found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)


def newest(path: Path, seen: Seen) -> int:
    """Return when a file, or one of those in a folder of its name (MRXS), was last written to, in nanoseconds."""
    times = [seen.modified]
    with suppress(OSError):
        times += [companion.lstat().st_mtime_ns for companion in path.with_suffix("").iterdir()]
    return max(times)


def is_written_to(path: Path) -> bool:
    """Return whether a program has the file open for writing, where the file system can say."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.fcntl(
            descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK
        )  # refused while a program has the file open for writing
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return (
            error.errno == errno.EAGAIN
        )  # other errors: no leases on this file system, or the file has another owner
    finally:
        os.close(descriptor)
    return False


def sha256_of(path: Path) -> str:
    """Return the content's SHA-256 in lower case."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class State:
    """The cache between runs: losing it costs only time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token: dict[str, Any] = {}
        self.entries: dict[str, Entry] = {}
        with suppress(OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
            self._read()

    def _read(self) -> None:
        if self.path.stat().st_size > MAX_STATE_BYTES:
            return
        found = json.loads(self.path.read_text("utf-8", "surrogatepass"))
        entries = [Entry(**entry) for entry in found["files"]]
        self.entries = {e.name: e for e in entries if e.sha256 is None or _SHA256.fullmatch(e.sha256)}
        self.token = dict(found["token"] or {})

    def save(self) -> None:
        """Write the whole state, or keep the old file; a full disk does not stop the run."""
        content = {"token": self.token, "files": [asdict(entry) for entry in self.entries.values()]}
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            fresh.touch(0o600)
            fresh.write_text(json.dumps(content), "ascii")
            fresh.replace(self.path)
        except OSError as error:
            log.warning("error: the state cannot be kept: %s", error.strerror)

    def entry(self, name: str, seen: Seen) -> Entry | None:
        """Return the entry of a file that is unchanged, else None."""
        known = self.entries.get(name)
        same = known is not None and (known.size, known.modified) == (seen.size, str(seen.modified))
        return known if same else None

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove the entries of all other files, which no longer exist."""
        self.entries = {name: self.entries[name] for name in names if name in self.entries}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: a token must not be sent to an address in an answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Server:
    """The server's two addresses, and the token that opens the second."""

    def __init__(self, options: argparse.Namespace, secret: str | None, state: State) -> None:
        self.options, self.secret, self.state = options, secret, state

    def offer(self, body: dict[str, Any]) -> Answer:
        """Post a file's name and size; raises UnreachableError. A refused token is renewed once."""
        answer = self._offer(body)
        if answer.status == 401 and self.options.token_url:
            self.state.token = {}
            answer = self._offer(body)
        return answer

    def _offer(self, body: dict[str, Any]) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.options.token_url:
            headers["Authorization"] = f"Bearer {self._token()}"
        return self._post(self.options.url, json.dumps(body).encode(), headers)

    def _token(self) -> str:
        known, mine = (
            self.state.token,
            f"{self.options.token_url} {self.options.client_id} {self.options.scope}",
        )
        left = known.get("expires", 0) - time.time() if isinstance(known.get("expires"), int) else 0
        fresh = RENEW_BEFORE_S < left <= LONGEST_TOKEN_S
        if not (fresh and known.get("for") == mine and _is_token(known.get("value"))):
            value, lifetime_s = self._new_token()
            known = {"for": mine, "value": value, "expires": int(time.time()) + lifetime_s}
            self.state.token = known
            self.state.save()
        return str(known["value"])

    def _new_token(self) -> tuple[str, int]:
        basic = base64.b64encode(f"{self.options.client_id}:{self.secret}".encode()).decode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": self.options.scope})
        answer = self._post(self.options.token_url, form.encode("ascii"), headers)
        found = json_object(answer.body)
        if answer.status != 200 or not _is_token(found.get("access_token")):
            raise UnreachableError(f"no token ({answer.status}): {reason(found)}")
        lifetime_s = found.get("expires_in")
        known = type(lifetime_s) is int and 0 < lifetime_s <= LONGEST_TOKEN_S
        return found["access_token"], lifetime_s if known else 0

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  checked at the start
        try:
            with _at_most(self.options.timeout):
                return self._answer(request)
        except urllib.error.URLError as error:
            raise UnreachableError(f"no answer: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"no answer: {error or type(error).__name__}") from error

    def _answer(self, request: urllib.request.Request) -> Answer:
        proxy = self.options.proxy
        proxies = {"http": proxy, "https": proxy} if proxy else None  # None: the environment's
        if is_this_machine(request.host):
            proxies = {}
        # Certificates are checked by default, and no option turns that off.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirects)
        try:
            answer = opener.open(request, timeout=self.options.timeout)
        except urllib.error.HTTPError as error:
            answer = error  # an error status is an answer as well
        with answer:
            body = answer.read(MAX_ANSWER_BYTES + 1)
            if len(body) > MAX_ANSWER_BYTES:
                raise UnreachableError(f"an answer ({answer.status}) of over {MAX_ANSWER_BYTES} bytes")
            return Answer(answer.status, body)


def is_this_machine(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine's own loopback."""
    return urllib.parse.urlsplit(f"//{host}").hostname in {"127.0.0.1", "::1", "localhost"}


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError when a block takes longer: a socket's own timeout starts again with every byte."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"nothing whole within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or an empty one."""
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def reason(found: dict[str, Any]) -> str:
    """Return the reason that an answer states."""
    said = found.get("error") or found.get("state") or found.get("message") or "no reason given"
    return str(said)[:300]


def is_confirmed(answer: Answer, body: dict[str, Any]) -> bool:
    """Return whether the server confirms that exactly this file is stored."""
    found = json_object(answer.body)
    return answer.status == 200 and all(
        type(found.get(key)) is type(wanted) and found[key] == wanted for key, wanted in body.items()
    )


class Run:
    """One pass over the folder."""

    def __init__(self, options: argparse.Namespace, server: Server, state: State) -> None:
        self.options, self.server, self.state = options, server, state

    def all_files(self) -> None:
        """Treat every file, the oldest first; an error with one file does not affect the others."""
        self.put_back()
        found = sorted(self._find(), key=lambda item: item[1].modified)
        self.state.keep_only([path.name for path, _ in found])
        for path, seen in found:
            if self.options.keep and (known := self.state.entry(path.name, seen)) and known.confirmed:
                continue
            try:
                outcome = self.one_file(path, seen)
            except UnreachableError as error:
                outcome = Outcome("later", str(error))
            except OSError as error:
                outcome = Outcome("error", error.strerror or type(error).__name__)
            log.info("%s: %s (%d bytes): %s", outcome.word, path.name, seen.size, outcome.text)
        self.state.save()

    def _find(self) -> Iterator[tuple[Path, Seen]]:
        for path in self.options.folder.iterdir():
            if path.suffix.lower() in self.options.extension:
                with suppress(OSError):  # removed meanwhile, or no regular file
                    yield path, look(path)

    def one_file(self, path: Path, seen: Seen) -> Outcome:
        """Offer a file that is no longer written to; delete it when the server has it."""
        age_s = time.time() - newest(path, seen) / 1e9
        if abs(age_s) < self.options.minimum_age:
            return Outcome("young", f"written to {age_s:.0f} s ago")
        if is_written_to(path):
            return Outcome("busy", "a program has it open for writing")
        body: dict[str, Any] = {"filename": path.name, "size": seen.size}
        if not self.options.no_sha256:
            body["sha256"] = self._checksum(path, seen)
            if look(path) != seen:
                return Outcome("changed", "while it was read")
        answer = self.server.offer(body)
        if answer.status != 200:
            return refusal(answer)
        if not is_confirmed(answer, body):
            return Outcome("later", "200, but the answer does not name this file and its size")
        return self._confirmed(path, seen, body.get("sha256"), json_object(answer.body).get("files"))

    def _checksum(self, path: Path, seen: Seen) -> str:
        known = self.state.entry(path.name, seen)
        if known is None or known.sha256 is None:
            known = Entry(path.name, seen.size, str(seen.modified), sha256_of(path))
            self.state.entries[path.name] = known
            self.state.save()
        return str(known.sha256)

    def _confirmed(self, path: Path, seen: Seen, sha256: str | None, files: object) -> Outcome:
        if self.options.keep:
            known = self.state.entry(path.name, seen) or Entry(
                path.name, seen.size, str(seen.modified), sha256
            )
            self.state.entries[path.name] = replace(known, confirmed=True)
            return Outcome("kept", "stored by the server; not deleted, as asked")
        # Read once more: the deleted bytes must be those that the server confirmed, whatever the state file said.
        if look(path) != seen or (sha256 is not None and sha256_of(path) != sha256):
            self.state.entries.pop(path.name, None)
            return Outcome("changed", "since it was offered")
        if files is None:
            return delete(path, seen)
        companions = confirmed_companions(path, sha256 or sha256_of(path), files)
        if companions is None:
            return Outcome("changed", "a file of the slide is not the one that the server has")
        return delete_set(path, seen, companions)

    def put_back(self) -> None:
        """Undo the unfinished work of a run that was killed."""
        for aside in list(self.options.folder.iterdir()):
            if aside.suffix == ASIDE and Path(aside.stem).suffix.lower() in self.options.extension:
                try:
                    outcome = give_back(aside, aside.with_suffix(""))
                except OSError as error:
                    outcome = Outcome("error", error.strerror or type(error).__name__)
                log.info("%s: %s: %s", outcome.word, aside.name, outcome.text)


def refusal(answer: Answer) -> Outcome:
    """Return the outcome of an answer that is not 200."""
    found, status = json_object(answer.body), answer.status
    if status == 202:
        return Outcome("waiting", reason(found))
    if status == 422:
        return Outcome("failed", reason(found))
    if 300 <= status < 400:
        return Outcome("later", f"{status}, a redirect: is the address right?")
    if status in {401, 403, 408, 429} or not 400 <= status < 500:
        return Outcome("later", f"{status}: {reason(found)}")
    return Outcome("refused", f"{status}: {reason(found)}")


def delete(path: Path, seen: Seen) -> Outcome:
    """Delete exactly the file that was confirmed.

    The file is renamed first: another program may then write a new file under its name, which is not deleted.
    """
    aside = path.with_name(path.name + ASIDE)
    if os.path.lexists(aside):
        return Outcome("later", f"{aside.name} of an earlier run is still here")
    path.rename(aside)
    if look(aside) != seen:
        give_back(aside, path)
        return Outcome("changed", "since it was offered")
    aside.unlink()
    return Outcome("deleted", "stored by the server")


def confirmed_companions(path: Path, sha256: str, files: object) -> list[Path] | None:
    """Return the companions of an index file that are to be deleted: present ones that the server lists as they are.

    None if the answer is not a list of such files, or one of them is not what the server has.
    """
    listed = (
        {file.get("name"): file for file in files if isinstance(file, dict)}
        if isinstance(files, list)
        else {}
    )
    own = listed.pop(path.stem + path.suffix.lower(), None)
    if own is None or own.get("sha256") != sha256 or not all(map(_is_beside, listed)):
        return None
    present = [path.parent / name for name in sorted(listed) if os.path.lexists(path.parent / name)]
    for companion in present:
        file = listed[companion.relative_to(path.parent).as_posix()]
        if look(companion).size != file.get("size") or sha256_of(companion) != file.get("sha256"):
            return None
    return present


def _is_beside(name: object) -> bool:
    """Return whether a name is that of a file in the folder, or in a folder in it."""
    parts = name.split("/") if isinstance(name, str) and "\\" not in name and "\0" not in name else []
    return 1 <= len(parts) <= 2 and not {"", ".", ".."} & set(parts)


def delete_set(path: Path, seen: Seen, companions: Sequence[Path]) -> Outcome:
    """Delete an index file and its companions, the index last: a run that is stopped is continued by its name."""
    folders = {companion.parent for companion in companions} - {path.parent}
    if any(folder.is_symlink() for folder in folders):
        return Outcome("changed", "the slide's folder is a link: nothing was deleted")
    if look(path) != seen:
        return Outcome("changed", "since it was offered")
    for companion in companions:
        companion.unlink()
    for folder in folders:
        with suppress(OSError):  # it holds what the server does not have
            folder.rmdir()
    return delete(path, seen)


def give_back(aside: Path, path: Path) -> Outcome:
    """Restore a file's name; where the name is taken, the file waits until the other one is gone."""
    if os.path.lexists(path) and not path.samefile(aside):
        return Outcome("later", f"it gets its name back when {path.name} is gone")
    try:
        os.link(aside, path)  # unlike a rename, a link never replaces a file
    except FileExistsError:
        if not path.samefile(aside):  # if it is the same file, a run was killed between the two steps
            return Outcome("later", f"it gets its name back when {path.name} is gone")
        aside.unlink()
    except OSError:  # no hard links on this file system
        aside.rename(path)
    else:
        aside.unlink()
    return Outcome("changed", "it has its own name back and is offered again")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="where the scanner writes its slides")
    add("--url", required=True, help="the server's address of POST /ImportSlide, with https")
    add("--token-url", help="where a token is had; without it none is sent")
    add("--client-id", help="who asks for a token")
    add("--secret-file", type=Path, help=f"holds the client secret, mode 600; or set {SECRET_VARIABLE}")
    add("--scope", default="vsv/import", help="what the token is for (%(default)s)")
    add(
        "--state",
        type=Path,
        default=_default_state(),
        help="where log, lock and checksums are kept (%(default)s)",
    )
    add("--extension", nargs="+", default=[".svs"], help="which files are slides (%(default)s)")
    add(
        "--minimum-age", type=float, default=30, help="seconds for which a file must be at rest (%(default)s)"
    )
    add("--timeout", type=float, default=40, help="seconds that one answer may take (%(default)s)")
    add("--proxy", help="the proxy's address; else the environment's https_proxy")
    add("--keep", action="store_true", help="never delete anything")
    add("--no-sha256", action="store_true", help="do not compute and send checksums")
    add("--allow-http", action="store_true", help="allow addresses of other machines without https")
    return parser.parse_args(arguments)


def _default_state() -> Path:
    given = os.environ.get("STATE_DIRECTORY")  # systemd's
    return Path(given) if given else Path.home() / ".local/state/vsv-scanner"


def _check(options: argparse.Namespace) -> None:
    for url in filter(None, (options.url, options.token_url)):
        parts = urllib.parse.urlsplit(url)
        may_be_plain = options.allow_http or is_this_machine(parts.netloc)
        if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain):
            raise SetupError(f"{url} must begin with https://: an answer decides whether a slide is deleted")
    if not options.folder.is_dir():
        raise SetupError(f"there is no folder {options.folder}")
    if options.token_url and not options.client_id:
        raise SetupError("--token-url needs --client-id")
    options.extension = {f".{extension.lstrip('.').lower()}" for extension in options.extension}


def _secret(options: argparse.Namespace) -> str | None:
    if not options.token_url:
        return None
    secret = os.environ.get(SECRET_VARIABLE, "")
    if options.secret_file is not None:
        try:
            if options.secret_file.stat().st_mode & 0o077:
                raise SetupError(f"others may read {options.secret_file}: chmod 600 it")
            secret = options.secret_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"{options.secret_file} cannot be read") from error
    if not secret.strip():
        raise SetupError(f"the client secret is missing: --secret-file or {SECRET_VARIABLE}")
    return secret.strip()


class _OneLine(logging.Formatter):
    """Formats a record in one line with UTC time: a file's name or an answer must not begin a line of its own."""

    converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "?", super().format(record))


def _open_log(state: Path) -> None:
    rotating = logging.handlers.RotatingFileHandler(
        state / "import_slide.log", "a", LOG_BYTES, OLD_LOGS, encoding="utf-8", errors="backslashreplace"
    )
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for handler in (rotating, logging.StreamHandler(sys.stdout)):
        handler.setFormatter(_OneLine("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)


@contextmanager
def _alone(options: argparse.Namespace) -> Iterator[bool]:
    """Lock the state and the folder for this run; yield False where another run has. A killed run holds no lock."""
    held = []
    try:
        for path, flags in ((options.state / "lock", os.O_RDWR | os.O_CREAT), (options.folder, os.O_RDONLY)):
            held.append(os.open(path, flags, 0o600))
            try:
                fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:
                if path != options.folder:  # some network file systems lock no folders
                    raise
        yield True
    finally:
        for descriptor in held:
            os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return 0 unless the run could not start at all."""
    signal.signal(
        signal.SIGIO, signal.SIG_IGN
    )  # the kernel's signal that another program wants to open a leased file
    options = _arguments(arguments)
    try:
        options.state.mkdir(0o700, parents=True, exist_ok=True)
        _open_log(options.state)
        _check(options)
        secret = _secret(options)
        with _alone(options) as alone:
            if alone:
                state = State(options.state / "state.json")
                Run(options, Server(options, secret, state), state).all_files()
            else:
                print("another run is under way")
    except (SetupError, OSError) as problem:
        report = log.error if log.handlers else print
        report(f"error: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
