//! Heartbeats: the one thing that an amphora says by itself, and the only way by which counters and health get out.
//!
//! One datagram an interval to one controller in turn. Traffic is told as the difference since the last message, so what was told last is
//! kept; after a restart of haproxy, whose counters begin anew, the new value is the difference. If keepalived ought to run and does not,
//! nothing is sent: that is how the controller learns of it.

pub mod message;
pub mod pulse;
pub mod seal;
