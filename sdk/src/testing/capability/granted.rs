//! The interfaces that an operator has to grant: nobody has, so that every call is denied.

/// Programs.
pub mod process {
    use crate::process::{Error, Output, State};

    /// Where the private directory is.
    pub fn directory() -> Result<String, Error> {
        Err(Error::Denied)
    }

    /// Which file the program is.
    pub fn revision(_program: &str) -> Result<String, Error> {
        Err(Error::Denied)
    }

    /// Run to completion.
    pub fn run(_program: &str, _args: &[String], _stdin: &[u8], _timeout_ms: u32) -> Result<Output, Error> {
        Err(Error::Denied)
    }

    /// Start under a name.
    pub fn start(_name: &str, _program: &str, _args: &[String]) -> Result<u32, Error> {
        Err(Error::Denied)
    }

    /// Send a signal.
    pub fn signal(_name: &str, _signal: i32) -> Result<(), Error> {
        Err(Error::Denied)
    }

    /// End it.
    pub fn stop(_name: &str, _grace_ms: u32) -> Result<(), Error> {
        Err(Error::Denied)
    }

    /// How it is.
    pub fn status(_name: &str) -> Result<Option<State>, Error> {
        Err(Error::Denied)
    }

    /// What it printed last.
    pub fn printed(_name: &str, _limit: u32) -> Result<Vec<u8>, Error> {
        Err(Error::Denied)
    }

    /// Talk to a socket.
    pub fn dialogue(_socket: &str, _send: &[u8], _until: Option<&[u8]>, _timeout_ms: u32) -> Result<Vec<u8>, Error> {
        Err(Error::Denied)
    }
}

/// Facts about the machine.
pub mod system {
    use crate::system::{CpuTimes, Error, MemorySizes, Network};

    /// Its name.
    pub fn hostname() -> Result<String, Error> {
        Err(Error::Denied)
    }

    /// Processor time.
    pub fn cpu() -> Result<CpuTimes, Error> {
        Err(Error::Denied)
    }

    /// Memory.
    pub fn memory(_program: Option<&str>) -> Result<MemorySizes, Error> {
        Err(Error::Denied)
    }

    /// Bytes used and available.
    pub fn disk() -> Result<(u64, u64), Error> {
        Err(Error::Denied)
    }

    /// Load averages.
    pub fn load() -> Result<(f64, f64, f64), Error> {
        Err(Error::Denied)
    }

    /// Network interfaces.
    pub fn networks(_program: Option<&str>) -> Result<Vec<Network>, Error> {
        Err(Error::Denied)
    }
}

/// Datagrams.
pub mod udp {
    use crate::udp::Error;

    /// Send one.
    pub fn send(_destination: &str, _payload: &[u8]) -> Result<(), Error> {
        Err(Error::Denied)
    }
}

/// Outbound HTTP.
pub mod http_client {
    use crate::http_client::{Error, Inbound, Outbound};

    /// Send one request.
    pub fn send(_request: &Outbound) -> Result<Inbound, Error> {
        Err(Error::Denied)
    }

    /// Send several at once.
    pub fn send_all(_requests: &[Outbound]) -> Result<Vec<Result<Inbound, Error>>, Error> {
        Err(Error::Denied)
    }
}

/// Secrets.
pub mod secrets {
    use crate::DigestAlgorithm;
    use crate::secrets::{Credential, Error, Named, PublicIdentity};

    /// Keep a credential.
    pub fn put_credential(_name: &str, _credential: &Credential) -> Result<(), Error> {
        Err(Error::Denied)
    }

    /// Keep a key for HMAC.
    pub fn put_hmac_key(_name: &str, _key: &[u8]) -> Result<(), Error> {
        Err(Error::Denied)
    }

    /// Keep an identity.
    pub fn put_identity(_name: &str, _chain: &[u8], _key: &[u8]) -> Result<PublicIdentity, Error> {
        Err(Error::Denied)
    }

    /// Make an identity if there is none.
    pub fn ensure_identity(_name: &str, _common_name: &str, _days: u32) -> Result<PublicIdentity, Error> {
        Err(Error::Denied)
    }

    /// The public part of one.
    pub fn identity(_name: &str) -> Result<PublicIdentity, Error> {
        Err(Error::Denied)
    }

    /// HMAC under a kept key.
    pub fn hmac(_name: &str, _algorithm: DigestAlgorithm, _data: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::Denied)
    }

    /// Forget one.
    pub fn delete(_name: &str) -> Result<bool, Error> {
        Err(Error::Denied)
    }

    /// All names.
    pub fn names() -> Result<Vec<Named>, Error> {
        Err(Error::Denied)
    }
}
