//! `udp`: datagrams to the destinations of the operator's list. The list and the sockets are in [`crate::datagram`].

use crate::datagram::SendError;
use crate::plugin::GuestState;
use crate::plugin::bindings::udp::{Error, Host};

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let text = error.to_string();
        match error {
            SendError::Denied(_) => Self::Unlisted(text),
            SendError::Invalid(_) => Self::Invalid(text),
            SendError::Unreachable { .. } => Self::Unreachable(text),
        }
    }
}

impl Host for GuestState {
    async fn send(&mut self, destination: String, payload: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.plugin.datagrams.send(&destination, &payload).map_err(Into::into))
    }
}
