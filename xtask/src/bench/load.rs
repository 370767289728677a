//! The load generator, and what it prints.

use std::process::Command;
use std::time::Duration;

use crate::command::{Failure, Outcome, output};

/// Requests a second that `url` answers over this many connections. Anything but 2xx is a failure.
pub fn load(url: &str, connections: u32, length: Duration) -> Outcome<f64> {
    load_with(url, connections, length, &[])
}

/// The same with these header fields, each `Name: value`.
pub fn load_with(url: &str, connections: u32, length: Duration, fields: &[String]) -> Outcome<f64> {
    let (connections, length) = (format!("-c{connections}"), format!("-d{}s", length.as_secs()));
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", &connections, &length]).args(fields.iter().flat_map(|field| ["-H", field.as_str()]));
    let report = output(wrk.arg(url))?;
    parse(&report).map_err(|reason| Failure(format!("{url}: {reason}\n{report}")))
}

fn parse(report: &str) -> Result<f64, &'static str> {
    let after = |name: &str| report.lines().find_map(|line| line.trim().strip_prefix(name));
    if after("Non-2xx or 3xx responses:").is_some() {
        return Err("not every answer was a good one");
    }
    if after("Socket errors:").is_some() {
        return Err("connections failed");
    }
    let rate = after("Requests/sec:").and_then(|rate| rate.trim().parse().ok());
    rate.ok_or("wrk did not print a rate")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_rate_counts_only_if_every_answer_was_good() {
        let good = "Running 3s test @ http://x/\n  10 requests in 3.00s\nRequests/sec:  94120.50\nTransfer/sec: 1MB\n";
        assert_eq!(parse(good), Ok(94120.5));
        assert!(parse(&format!("{good}  Non-2xx or 3xx responses: 3\n")).is_err());
        assert!(parse(&format!("  Socket errors: connect 0, read 1, write 0, timeout 0\n{good}")).is_err());
        assert!(parse("").is_err());
    }
}
