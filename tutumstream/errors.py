"""The exception tree. Each leaf carries fields and builds its text from them; no text holds a secret."""

from collections.abc import Sequence


class TutumstreamError(Exception):
    """Root of everything that tutumstream raises on purpose."""


class SettingsError(TutumstreamError):
    """Options, environment or file hold mistakes.

    Attributes:
        mistakes: one line each, in the order found; each names the place and the way out.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__(mistakes)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(self.mistakes)


class ConditionError(TutumstreamError):
    """A route's condition does not compile, or is not true-or-false.

    Attributes:
        source: the CEL text.
        problem: what is wrong with it, possibly over several lines, with a caret.
    """

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"condition {self.source!r}: {self.problem}"


class TemplateError(TutumstreamError):
    """A template does not compile, names something unknown, or fails on a sample event.

    Attributes:
        name: the route's name.
        problem: what is wrong, with the line in the template where it is known.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"text of route {self.name!r}: {self.problem}"


class JournalError(TutumstreamError):
    """The journal could not be opened, read or written.

    Attributes:
        place: where the journal lives.
        problem: what happened and what to do about it.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"journal {self.place}: {self.problem}"


class JournalInUseError(JournalError):
    """Another service has the journal open."""


class StateError(TutumstreamError):
    """The gateway can't keep its state where it is to be kept.

    Attributes:
        place: a file or a folder.
        problem: what stands in the way and what to do about it.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"state {self.place}: {self.problem}"


class ListenError(TutumstreamError):
    """Nothing can listen where `--listen` says.

    Attributes:
        problem: what the system says, with the place.
        what: can't be served, in words.
        choice: what to choose instead, and how.
    """

    def __init__(
        self,
        problem: str,
        what: str = "the probes",
        choice: str = "another place, or none, with --listen (TUTUMSTREAM_LISTEN)",
    ) -> None:
        super().__init__(problem, what, choice)
        self.problem = problem
        self.what = what
        self.choice = choice

    def __str__(self) -> str:
        return f"{self.what} can't be served ({self.problem}): end what is there, or choose {self.choice}"


class ExchangeError(TutumstreamError):
    """An HTTP exchange ended without a whole answer: whether the server acted on it is unknown.

    Attributes:
        host: `scheme://host[:port]` of the peer; never a path, which may be a secret.
        problem: what happened, in words.
    """

    def __init__(self, host: str, problem: str) -> None:
        super().__init__(host, problem)
        self.host = host
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.host}: {self.problem}"


class DockerError(TutumstreamError):
    """The Docker Engine can't be reached, or refused a request.

    Attributes:
        host: the engine, as in DOCKER_HOST.
        problem: what happened and what to do about it.
    """

    def __init__(self, host: str, problem: str) -> None:
        super().__init__(host, problem)
        self.host = host
        self.problem = problem

    def __str__(self) -> str:
        return f"Docker Engine {self.host}: {self.problem}"
