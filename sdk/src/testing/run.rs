//! A request's way through the host: routing, access, body mode, and the steps until the answer is complete.

use super::capability::blobs;
use super::host::State;
use super::matching::{self, Found};
use super::request::Meanwhile;
use super::{TestAnswer, TestApp, TestRequest, check, digest};
use crate::contract::{Access, BodyMode, Surface};
use crate::{Caller, Event, Head, Park, Receive, ReceiveError, ReceivePlan, Received, Request, Segment, Step};

/// More steps than any answer under test has; a plugin that goes on for ever is stopped.
const STEPS: usize = 10_000;
const CONTINUATION: usize = 64 * 1024;
const WATCHES: usize = 96;
const LEAST_PIECE: u64 = 4096;
const MOST_PIECES: usize = 65_536;

#[track_caller]
pub(super) fn send(mut test: TestRequest<'_>) -> TestAnswer {
    let app = test.app;
    app.host().install();
    let (number, surface) = surface_of(app, test.surface.as_deref());
    let (path, query) = match test.target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (test.target.clone(), None),
    };
    let (index, params, drop_body) = match matching::find(surface, &test.method, &path) {
        Found::Route { index, params, drop_body } => (index, params, drop_body),
        Found::Options { allow } => return refused(surface, 204, Some(allow)),
        Found::MethodNotAllowed { allow } => return refused(surface, 405, Some(allow)),
        Found::Nothing => return refused(surface, 404, None),
        Found::BadPath => return refused(surface, 400, None),
    };
    let Some(route) = surface.routes.get(index) else { return refused(surface, 404, None) };
    if let Err(status) = admit(app, &route.access, &test.caller) {
        return refused(surface, status, None);
    }
    let mut body = test.body.take().unwrap_or_default();
    let most = match route.body {
        BodyMode::None => 0,
        BodyMode::Buffered(most) => usize::try_from(most).unwrap_or(usize::MAX),
        BodyMode::Staged => usize::MAX,
    };
    if body.len() > most {
        return refused(surface, 413, None);
    }
    let buffered = matches!(route.body, BodyMode::Buffered(_)).then(|| std::mem::take(&mut body));
    let request = Request {
        surface: number,
        route: u32::try_from(index).unwrap_or(u32::MAX),
        method: test.method,
        params,
        path,
        query,
        scheme: test.scheme,
        authority: test.authority,
        prefix: test.prefix,
        public_url: test.public_url,
        headers: test.headers,
        caller: test.caller,
        peer: test.peer,
        id: test.id,
        body: buffered,
        extra: Vec::new(),
    };
    let mut exchange = Exchange {
        app,
        staged: matches!(route.body, BodyMode::Staged).then_some(body),
        cut_off: test.cut_off,
        while_parked: test.while_parked,
        request: &request,
        head: None,
        body: Vec::new(),
    };
    app.host().state(|state| state.caller = Some(request.caller.clone()));
    exchange.follow();
    app.host().sweep();
    let head = exchange.head.unwrap_or(Head { status: 0, headers: Vec::new(), delivery: crate::Delivery::Verbatim });
    check_head(&head, (!drop_body).then_some(exchange.body.len()));
    if drop_body {
        exchange.body.clear();
    }
    with_headers(surface, TestAnswer::by_plugin(&head, exchange.body))
}

fn surface_of<'a>(app: &'a TestApp, wanted: Option<&str>) -> (u32, &'a Surface) {
    let surfaces = &app.descriptor().surfaces;
    let at = match wanted {
        Some(name) => surfaces.iter().position(|surface| surface.name == name),
        None => Some(surfaces.iter().position(|surface| surface.name == "main").unwrap_or(0)),
    };
    let found = at.and_then(|at| Some((u32::try_from(at).ok()?, surfaces.get(at)?)));
    found.unwrap_or_else(|| panic!("the plugin has no surface named `{}`", wanted.unwrap_or("main")))
}

fn admit(app: &TestApp, access: &Access, caller: &Caller) -> Result<(), u16> {
    match (access, caller) {
        (Access::Open | Access::Plugin, _) | (Access::Authenticated, Caller::User(_)) => Ok(()),
        (Access::Authenticated | Access::RoleRule(_), Caller::Anonymous | Caller::Rejected(_)) => Err(401),
        (Access::Authenticated | Access::RoleRule(_), Caller::Unverified(_)) => Err(503),
        (Access::RoleRule(rule), Caller::User(user)) => {
            let rules = &app.descriptor().rules;
            let satisfied =
                rules.iter().any(|known| known.name == *rule && known.roles.iter().any(|role| user.has_role(role)));
            if satisfied { Ok(()) } else { Err(403) }
        }
    }
}

fn refused(surface: &Surface, status: u16, allow: Option<String>) -> TestAnswer {
    let mut answer = TestAnswer::by_host(status);
    answer.headers.extend(allow.map(|allow| ("allow".to_owned(), allow.into_bytes())));
    with_headers(surface, answer)
}

fn with_headers(surface: &Surface, mut answer: TestAnswer) -> TestAnswer {
    for (name, value) in &surface.headers {
        let name = name.to_ascii_lowercase();
        if answer.header(&name).is_none() {
            answer.headers.push((name, value.clone().into_bytes()));
        }
    }
    answer
}

struct Exchange<'a> {
    app: &'a TestApp,
    request: &'a Request,
    /// The body, on routes that take it with a step, until it was taken.
    staged: Option<Vec<u8>>,
    cut_off: bool,
    while_parked: Option<Meanwhile<'a>>,
    head: Option<Head>,
    body: Vec<u8>,
}

impl Exchange<'_> {
    fn follow(&mut self) {
        let mut step = self.app.plugin.handle(self.request);
        for _ in 0..STEPS {
            let (continuation, event) = match step {
                Step::Done(answer) => return self.take(Some(answer.head), answer.body),
                Step::More(more) => {
                    assert!(!more.continuation.is_empty(), "a `more` step has no continuation");
                    assert!(
                        more.body.is_empty() || self.begun(&more.head),
                        "a `more` step sends a body before any head"
                    );
                    self.take(more.head, more.body);
                    (more.continuation, Event::Taken)
                }
                Step::Park(park) => self.park(park),
                Step::Receive(receive) => self.receive(receive),
                Step::Fail(why) => return self.fail(&why),
            };
            assert!(
                continuation.len() <= CONTINUATION,
                "a continuation is {} bytes long, over 64 KiB",
                continuation.len()
            );
            // Other requests and jobs may have run meanwhile.
            self.app.host().state(|state| state.caller = Some(self.request.caller.clone()));
            step = self.app.plugin.resume(self.request, &continuation, event);
        }
        panic!("the answer does not come to an end: {STEPS} steps, the last one is {step:?}");
    }

    fn fail(&mut self, why: &str) {
        assert!(self.head.is_none(), "the answer breaks off: {why}");
        self.head = Some(Head::new(500));
    }

    fn begun(&self, head: &Option<Head>) -> bool {
        self.head.is_some() || head.is_some()
    }

    fn take(&mut self, head: Option<Head>, segments: Vec<Segment>) {
        if self.head.is_none() {
            self.head = head;
        }
        self.app.host().state(|state| {
            for segment in &segments {
                append(state, &mut self.body, segment);
            }
        });
    }

    fn park(&mut self, park: Park) -> (Vec<u8>, Event) {
        assert!(park.watches.len() <= WATCHES, "a `park` step has {} watches, over {WATCHES}", park.watches.len());
        assert!(park.body.is_empty() || self.begun(&park.head), "a `park` step sends a body before any head");
        self.take(park.head, park.body);
        let host = self.app.host();
        let past = || host.state(|state| park.watches.iter().any(|watch| state.is_past(watch)));
        if !past()
            && let Some(meanwhile) = self.while_parked.take()
        {
            meanwhile(host);
        }
        let event = if past() { Event::Woken } else { Event::Timeout };
        (park.continuation, event)
    }

    fn receive(&mut self, receive: Receive) -> (Vec<u8>, Event) {
        let Some(body) = self.staged.take() else {
            panic!("a `receive` step on a route that is not `staged`, or for the second time");
        };
        assert!(!receive.continuation.is_empty(), "a `receive` step has no continuation");
        let received = if self.cut_off {
            Err(ReceiveError::CutOff)
        } else {
            self.app.host().state(|state| pieces(state, &receive.plan, body))
        };
        (receive.continuation, Event::Received(received))
    }
}

fn pieces(state: &mut State, plan: &ReceivePlan, body: Vec<u8>) -> Result<Received, ReceiveError> {
    let size = body.len() as u64;
    if size > plan.limit {
        return Err(ReceiveError::TooLarge);
    }
    let length = plan.piece_size.unwrap_or(size.max(LEAST_PIECE));
    assert!(length >= LEAST_PIECE, "a piece of {length} bytes is under 4 KiB");
    let digests = plan.body_digests.iter().map(|algorithm| digest::digest(*algorithm, &body)).collect();
    let pieces: Vec<_> = body
        .chunks(usize::try_from(length).unwrap_or(usize::MAX))
        .map(|chunk| blobs::stage(state, chunk.to_vec(), &plan.piece_digests, plan.trim))
        .collect();
    assert!(pieces.len() <= MOST_PIECES, "a body of {} pieces, over {MOST_PIECES}", pieces.len());
    Ok(Received { pieces, size, digests })
}

fn append(state: &State, body: &mut Vec<u8>, segment: &Segment) {
    match segment {
        Segment::Bytes(bytes) => body.extend_from_slice(bytes),
        Segment::Blob(range) => match blobs::part(state, range) {
            Ok(bytes) => body.extend_from_slice(bytes),
            Err(error) => panic!("the answer's blob `{}` cannot be sent: {error:?}", range.name),
        },
        Segment::File(range) => {
            let start = usize::try_from(range.offset).unwrap_or(usize::MAX);
            let bytes = state.files.get(&range.path).and_then(|bytes| bytes.get(start..));
            let length = range.length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
            match bytes.and_then(|bytes| length.map_or(Some(bytes), |length| bytes.get(..length))) {
                Some(bytes) => body.extend_from_slice(bytes),
                None => panic!("the answer's file `{}` cannot be sent; see `Host::put_file`", range.path),
            }
        }
        Segment::Zeros(count) => body.resize(body.len() + usize::try_from(*count).unwrap_or(0), 0),
    }
}

/// What makes an answer a 500 in a real host. `sent`: length of the body, unless the answer is one to HEAD.
fn check_head(head: &Head, sent: Option<usize>) {
    assert!((200..=599).contains(&head.status), "the answer's status is {}", head.status);
    for (name, value) in &head.headers {
        assert!(check::is_token(name), "`{name}` is no header name");
        assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)), "the value of `{name}` has CR, LF or NUL in it");
        if let (Some(sent), true) = (sent, name.eq_ignore_ascii_case("content-length")) {
            assert_eq!(value, sent.to_string().as_bytes(), "`Content-Length` differs from the body's {sent} bytes");
        }
    }
}
