//! QEMU's machine protocol: commands of the backend's own making, and their answers.
//!
//! Each conversation is a connection: capabilities, commands, and a last one by which the end of the answers is known.
//! No text of a client is a command here; clients' values are in arguments only, as JSON.

use serde_json::{Value, json};

/// Name of the last answer of a conversation.
pub const END: &str = "\"id\": \"end\"";

/// A command and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    name: &'static str,
    arguments: Value,
}

impl Command {
    /// With these arguments, an object.
    pub fn new(name: &'static str, arguments: Value) -> Command {
        Command { name, arguments }
    }

    /// Without arguments.
    pub fn plain(name: &'static str) -> Command {
        Command::new(name, json!({}))
    }
}

/// What QEMU says to a command, or why it does not do it.
pub type Reply = Result<Value, String>;

/// What is sent for these commands.
pub fn conversation(commands: &[Command]) -> String {
    let line = |name: &str, id: Value, arguments: &Value| {
        format!("{}\n", json!({ "execute": name, "id": id, "arguments": arguments }))
    };
    let none = json!({});
    let mut lines = line("qmp_capabilities", "begin".into(), &none);
    for (number, command) in commands.iter().enumerate() {
        lines.push_str(&line(command.name, number.into(), &command.arguments));
    }
    lines + &line("query-name", "end".into(), &none)
}

/// The answers to that many commands, in their order. One that did not come, because the process ended, is an error.
pub fn replies(answer: &str, count: usize) -> Vec<Reply> {
    let mut replies = vec![Err("QEMU ended before it answered".to_owned()); count];
    for line in answer.lines() {
        let Ok(mut line) = serde_json::from_str::<Value>(line) else { continue };
        let number = line.get("id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        let Some(slot) = number.and_then(|number| replies.get_mut(number)) else { continue };
        if let Some(value) = line.get_mut("return") {
            *slot = Ok(value.take());
        } else if let Some(why) = line.pointer("/error/desc").and_then(Value::as_str) {
            *slot = Err(why.to_owned());
        }
    }
    replies
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_told_apart_from_events_and_from_each_other() {
        let commands = [Command::plain("stop"), Command::new("blockdev-del", json!({"node-name": "a"}))];
        let sent = conversation(&commands);
        assert_eq!(sent.lines().count(), 4);
        assert!(sent.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        let answer = concat!(
            "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n",
            "{\"return\": {}, \"id\": \"begin\"}\r\n",
            "{\"timestamp\": {\"seconds\": 1}, \"event\": \"STOP\"}\r\n",
            "{\"return\": {}, \"id\": 0}\r\n",
            "{\"id\": 1, \"error\": {\"class\": \"GenericError\", \"desc\": \"no such node\"}}\r\n",
            "{\"return\": {}, \"id\": \"end\""
        );
        assert_eq!(replies(answer, 2), [Ok(json!({})), Err("no such node".to_owned())]);
        assert!(replies("", 1).iter().all(Result::is_err));
    }

    proptest! {
        #[test]
        fn any_answer_gives_that_many_replies(answer in ".*", lines in proptest::collection::vec("\\{\"(return|error|id)\": [0-9a-z{}\":,]*\\}", 0..6), count in 0usize..5) {
            prop_assert_eq!(replies(&(answer + "\n" + &lines.join("\n")), count).len(), count);
        }
    }
}
