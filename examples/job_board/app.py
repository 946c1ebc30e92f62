"""The pages of the board."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from .chance import fraction
from .form import Field, fields_of, refusals, unforeseen_field
from .journal import Journal
from .people import Application, People, Person, SignIn, WrongPasswordError
from .postings import Catalogue, Posting
from .trouble import Trouble, TroubleSource
from .visits import COOKIE, Visit, Visits

HERE = Path(__file__).parent
MAX_NAME = 64  # characters

Page = Callable[[Request], Awaitable[Response]]


class JobBoard:
    """The whole site; `late_s` is how many seconds an answer takes that is meant to come too late."""

    def __init__(self, catalogue: Catalogue, journal: Journal, source: TroubleSource, *, late_s: float) -> None:
        self._catalogue = catalogue
        self._journal = journal
        self._people = People()
        self._templates = Jinja2Templates(HERE / "templates")
        self._templates.env.globals["hue"] = lambda company: int(360 * fraction("hue", company))
        self.app = Starlette(
            routes=[
                Route("/", _may_fail(self._home)),
                Route("/jobs", _may_fail(self._list)),
                Route("/jobs/{id}", _may_fail(self._job)),
                Route("/jobs/{id}/apply", _may_fail(self._form), methods=["GET"]),
                Route("/jobs/{id}/apply", self._apply, methods=["POST"]),  # notes its arrival before it may fail
                Route("/applications", _may_fail(self._applications)),
                Route("/sign-in", _may_fail(self._sign_in_form), methods=["GET"]),
                Route("/sign-in", _may_fail(self._sign_in), methods=["POST"]),
                Route("/sign-out", _may_fail(self._sign_out), methods=["POST"]),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ],
            middleware=[Middleware(Visits, self._people, journal, source, late_s)],
            exception_handlers={404: self._not_found, _FailureOnPurposeError: self._failure},
        )

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse("/jobs", 303)

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        keyword, location = asked.get("keyword", "").strip(), asked.get("location", "").strip()
        number = int(asked["page"]) if asked.get("page", "").isdecimal() else 1
        result = self._catalogue.search(keyword, location, number)

        def address(page: int) -> str:
            return "/jobs?" + urlencode({"keyword": keyword, "location": location, "page": page})

        self._journal.write(_sign_in_of(request), "listed", ids=[posting.id for posting in result.postings])
        return self._page(request, "jobs.html", keyword=keyword, location=location, result=result, address=address)

    async def _job(self, request: Request) -> Response:
        posting = self._catalogue.get(request.path_params["id"])
        if posting is None:
            return await self._not_found(request)
        self._journal.write(_sign_in_of(request), "opened", id=posting.id)
        status = 200 if posting.is_open else 410
        return self._page(request, "job.html", status, posting=posting, application=_application(request, posting))

    async def _form(self, request: Request) -> Response:
        posting = self._catalogue.get(request.path_params["id"])
        if posting is None:
            return await self._not_found(request)
        sign_in = _sign_in_of(request)
        if sign_in is None:
            return _to_sign_in(request)
        if not posting.is_open or _application(request, posting):
            return RedirectResponse(f"/jobs/{posting.id}", 303)
        return self._page(request, "apply.html", posting=posting, fields=_fields(sign_in.person, posting))

    async def _apply(self, request: Request) -> Response:
        posting = self._catalogue.get(request.path_params["id"])
        if posting is None:
            return await self._not_found(request)
        visit, sign_in = _visit_of(request), _sign_in_of(request)
        if sign_in is None:
            return _to_sign_in(request)
        self._journal.write(sign_in, "submitted", id=posting.id)
        if visit.trouble is Trouble.ERROR:
            self._journal.write(sign_in, "refused", id=posting.id, reason=f"failed with {visit.error_status}")
            raise _FailureOnPurposeError
        if not posting.is_open or _application(request, posting):
            reason = "already applied" if posting.is_open else "closed"
            self._journal.write(sign_in, "refused", id=posting.id, reason=reason)
            return RedirectResponse(f"/jobs/{posting.id}", 303)
        if visit.trouble is Trouble.QUESTION:
            sign_in.person.extra_fields[posting.id] = unforeseen_field(posting.id)
        return await self._decide(request, sign_in, posting)

    async def _decide(self, request: Request, sign_in: SignIn, posting: Posting) -> Response:
        """Accepts the application, or shows the form again with what is wrong."""
        async with request.form() as form:
            answers = {name: value.strip() for name, value in form.items() if isinstance(value, str)}
        fields = _fields(sign_in.person, posting)
        refused = refusals(fields, answers)
        if refused:
            self._journal.write(sign_in, "refused", id=posting.id, reason="fields: " + ", ".join(refused))
            return self._page(
                request, "apply.html", 422, posting=posting, fields=fields, answers=answers, refused=refused
            )
        sign_in.person.applications[posting.id] = Application(posting=posting, accepted_at=datetime.now(UTC))
        self._journal.write(sign_in, "accepted", id=posting.id)
        return RedirectResponse(f"/applications?received={posting.id}", 303)

    async def _applications(self, request: Request) -> Response:
        sign_in = _sign_in_of(request)
        if sign_in is None:
            return _to_sign_in(request)
        applications = sign_in.person.applications
        received = applications.get(request.query_params.get("received", ""))
        newest_first = list(reversed(applications.values()))
        return self._page(request, "applications.html", applications=newest_first, received=received)

    async def _sign_in_form(self, request: Request) -> Response:
        return self._page(request, "sign_in.html", next=_own_address(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        async with request.form() as form:
            name, password = str(form.get("user", "")).strip(), str(form.get("password", ""))
            back = _own_address(str(form.get("next", "")))
        if not name or not password or max(len(name), len(password)) > MAX_NAME:
            refused = f"Please give a user name and a password, each at most {MAX_NAME} characters long."
            return self._page(request, "sign_in.html", 422, next=back, user=name, refused=refused)
        try:
            secret = self._people.sign_in(name, password)
        except WrongPasswordError:
            refused = "This name is taken, and the password is not the one it was registered with."
            return self._page(request, "sign_in.html", 422, next=back, user=name, refused=refused)
        answer = RedirectResponse(back, 303)
        answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        self._people.sign_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/jobs", 303)
        answer.delete_cookie(COOKIE)
        return answer

    async def _not_found(self, request: Request, _error: Exception | None = None) -> Response:
        return self._page(request, "message.html", 404, title="Nothing here", text="This page does not exist.")

    async def _failure(self, request: Request, _error: Exception) -> Response:
        text = "Our server has trouble. Please try again."
        return self._page(request, "message.html", _visit_of(request).error_status, title="Sorry!", text=text)

    def _page(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        values |= {"sign_in": _sign_in_of(request)}
        headers = {"Cache-Control": "no-store"}
        return self._templates.TemplateResponse(request, template, values, status_code=status, headers=headers)


class _FailureOnPurposeError(Exception):
    """This request is in for an error."""


def _may_fail(page: Page) -> Page:
    """The page, except that it fails when its visit is in for an error."""

    async def answer(request: Request) -> Response:
        if _visit_of(request).trouble is Trouble.ERROR:
            raise _FailureOnPurposeError
        return await page(request)

    return answer


def _visit_of(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit


def _sign_in_of(request: Request) -> SignIn | None:
    return _visit_of(request).sign_in


def _application(request: Request, posting: Posting) -> Application | None:
    sign_in = _sign_in_of(request)
    return sign_in.person.applications.get(posting.id) if sign_in else None


def _fields(person: Person, posting: Posting) -> tuple[Field, ...]:
    extra = person.extra_fields.get(posting.id)
    return (*fields_of(posting.id), extra) if extra else fields_of(posting.id)


def _to_sign_in(request: Request) -> Response:
    return RedirectResponse("/sign-in?" + urlencode({"next": request.url.path}), 303)


def _own_address(text: str) -> str:
    """`text` if it is an address on this site, else the list of jobs: nobody is sent elsewhere after a sign-in."""
    is_own = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if is_own else "/jobs"
