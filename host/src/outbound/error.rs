//! What can go wrong with a request, by how far it came.

use super::identity::Fingerprint;

/// How far a request came when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting until fewer requests are under way, to this destination or at all.
    Wait,
    /// Asking for the addresses of the name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request, and waiting for the head of the answer.
    FirstByte,
    /// Between two stretches of the answer's body.
    Idle,
    /// The time for the whole request.
    Whole,
}

impl Phase {
    fn text(self) -> &'static str {
        match self {
            Self::Wait => "waiting for other requests to end",
            Self::Resolve => "looking the name up",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::FirstByte => "waiting for the answer to begin",
            Self::Idle => "waiting for more of the answer",
            Self::Whole => "the request as a whole",
        }
    }
}

/// Why there is no answer, or not all of it. Up to and including `Tls`, and for a timeout before [`Phase::FirstByte`],
/// nothing of this request was taken by the server; the one case where bytes were sent nevertheless is a TLS 1.3
/// server that refuses the client's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not on the operator's list, or a credential is not for this destination.
    #[error("{0}")]
    Denied(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The name has no address, or nobody could be asked.
    #[error("{0}")]
    Resolve(String),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The server's certificate is not the pinned one.
    #[error("the server presents the certificate {}, which is not the pinned one", hex::encode(.presented))]
    PinMismatch {
        /// Of the certificate it presented.
        presented: Fingerprint,
    },
    /// The handshake failed: the certificate is not trusted, or either side refused the other.
    #[error("{0}")]
    Tls(String),
    /// The time is up.
    #[error("the time is up: {}", .0.text())]
    Timeout(Phase),
    /// What came is not HTTP, or broke off.
    #[error("{0}")]
    Protocol(String),
    /// The answer's body has more bytes than this.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
}

impl OutboundError {
    /// What a failed handshake or connection says, for the cases that a plugin can tell apart.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(current) = cause {
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                return super::trust::explain(tls);
            }
            // The error inside of an `io::Error` is not its source, but takes its place.
            let inner = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            cause = inner.map(|inner| inner as _).or_else(|| current.source());
        }
        let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::Protocol(format!("the exchange failed: {error}{reason}"))
    }
}
