//! What haproxy's socket says: `show stat` as CSV, `show info` as lines.
//!
//! Tolerant: columns are found by name, unknown ones passed over, missing and unreadable numbers are 0, short rows end early.

use std::collections::BTreeMap;

/// One row of `show stat`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Name of the proxy: a listener's id, or `pool:listener`.
    pub proxy: String,
    /// `FRONTEND`, `BACKEND`, or a member's id.
    pub server: String,
    /// `OPEN`, `UP`, `UP 1/3`, `no check`, …
    pub status: String,
    /// Weight of the member, as haproxy writes it.
    pub weight: String,
    /// Sessions now.
    pub scur: u64,
    /// Sessions in all.
    pub stot: u64,
    /// Bytes in.
    pub bin: u64,
    /// Bytes out.
    pub bout: u64,
    /// Request errors.
    pub ereq: u64,
}

/// The rows of `show stat`. Nothing if the text does not begin with the line of names, `# …`.
pub fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    let Some(header) = lines.by_ref().find(|line| !line.trim().is_empty()).and_then(|line| line.strip_prefix("# "))
    else {
        return Vec::new();
    };
    let names = fields(header);
    lines.filter(|line| !line.trim().is_empty()).map(|line| row(&names, &fields(line))).collect()
}

fn row(names: &[String], values: &[String]) -> Row {
    let cells: BTreeMap<&str, &str> = names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
    let text = |name: &str| cells.get(name).copied().unwrap_or_default().to_owned();
    let number = |name: &str| cells.get(name).and_then(|cell| cell.trim().parse().ok()).unwrap_or(0);
    Row {
        proxy: text("pxname"),
        server: text("svname"),
        status: text("status"),
        weight: text("weight"),
        scur: number("scur"),
        stot: number("stot"),
        bin: number("bin"),
        bout: number("bout"),
        ereq: number("ereq"),
    }
}

/// The fields of a line of CSV; a field may be quoted, with `""` for a quote.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    fields
}

/// The value of a line of `show info`, such as `Pid`.
pub fn info<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| *key == name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_found_by_name() {
        let text = "# svname,pxname,bin,new,status,\nFRONTEND,l1,7,?,OPEN,\nm1,\"p:l1\",x,,\"UP, 1/3\"\n\n";
        let rows = rows(text);
        assert_eq!((rows[0].proxy.as_str(), rows[0].bin, rows[0].status.as_str()), ("l1", 7, "OPEN"));
        assert_eq!((rows[1].proxy.as_str(), rows[1].bin, rows[1].status.as_str()), ("p:l1", 0, "UP, 1/3"));
    }

    #[test]
    fn text_without_the_line_of_names_has_no_rows() {
        assert!(rows("Permission denied\n").is_empty());
        assert!(rows("").is_empty());
    }

    #[test]
    fn info_is_found_by_its_name() {
        assert_eq!(info("Name: HAProxy\nPid: 12\nPidx: 9\n", "Pid"), Some("12"));
        assert_eq!(info("Name HAProxy", "Name"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(# )?([a-z,\"\n\r0-9]|pxname|svname){0,80}") {
            let _ = rows(&text);
        }

        #[test]
        fn rows_are_as_many_as_lines(cells in prop::collection::vec("[a-z0-9]{1,5}", 1..9)) {
            let text = cells.iter().fold("# pxname\n".to_owned(), |text, cell| text + cell + "\n");
            let names: Vec<_> = rows(&text).into_iter().map(|row| row.proxy).collect();
            prop_assert_eq!(names, cells);
        }

        #[test]
        fn quoted_fields_come_back(value in "[a-z,\" ]{0,12}") {
            let line = format!("a,\"{}\",b", value.replace('"', "\"\""));
            prop_assert_eq!(fields(&line), ["a", &value, "b"]);
        }
    }
}
