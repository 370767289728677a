//! The formats of `/proc`, as pure functions. None of them fails on any text but by answering nothing.

use super::{CpuTimes, MemorySizes, Network};

/// `/proc/stat`: the line `cpu` has the sums, each line `cpuN` is one processor. Guest time is counted in user time
/// already, but is part of the kernel's line like any other, and of the total.
pub(super) fn cpu(text: &str) -> Option<CpuTimes> {
    let sums = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = sums.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let numbered =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(CpuTimes {
        count: u32::try_from(text.lines().filter(numbered).count()).ok()?,
        user: *fields.first()?,
        system: *fields.get(2)?,
        soft_irq: *fields.get(6)?,
        total: fields.iter().fold(0, |sum, field| sum.saturating_add(*field)),
    })
}

/// `/proc/meminfo`: `Name:   number kB`.
pub(super) fn memory(text: &str) -> Option<MemorySizes> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    Some(MemorySizes {
        total: bytes("MemTotal")?,
        free: bytes("MemFree")?,
        buffers: bytes("Buffers")?,
        cached: bytes("Cached")?,
        swap_cached: bytes("SwapCached")?,
        shared: bytes("Shmem")?,
        slab: bytes("Slab")?,
    })
}

/// `/proc/loadavg`: three numbers first.
pub(super) fn load(text: &str) -> Option<(f64, f64, f64)> {
    let mut fields = text.split_ascii_whitespace();
    let mut number = || fields.next()?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    Some((number()?, number()?, number()?))
}

/// `/proc/net/dev`: two lines of headings, then `name: ` with eight numbers of receiving and eight of sending.
pub(super) fn networks(text: &str) -> Option<Vec<Network>> {
    let line = |line: &str| {
        let (name, numbers) = line.rsplit_once(':')?;
        let numbers: Vec<u64> =
            numbers.split_ascii_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let (rx_bytes, tx_bytes) = (*numbers.first()?, *numbers.get(8)?);
        Some(Network { name: name.trim().to_owned(), rx_bytes, tx_bytes, ..Network::default() })
    };
    text.lines().skip(2).map(line).collect()
}

/// `/proc/self/cgroup`: the path in the one hierarchy of version 2, relative to where that is mounted.
pub(super) fn group(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // With a namespace, a group outside of it is shown with dots.
    (!path.split('/').any(|part| part == "..")).then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_machine_as_it_is() {
        let text = "cpu  667954 397051 165919 396508 3835 0 23844 682 0 0\ncpu0 1 2\ncpu1 3 4\nintr 5\n";
        let total = 667_954 + 397_051 + 165_919 + 396_508 + 3_835 + 23_844 + 682;
        let expected = CpuTimes { count: 2, user: 667_954, system: 165_919, soft_irq: 23_844, total };
        assert_eq!(cpu(text), Some(expected));
        let text = "MemTotal:  10 kB\nMemFree: 9 kB\nBuffers: 8 kB\nSwapCached: 1 kB\nCached: 7 kB\nShmemHugePages: 0 kB\nShmem: 6 kB\nSlab: 5 kB\n";
        let sizes = memory(text).unwrap();
        assert_eq!(
            (sizes.total, sizes.free, sizes.buffers, sizes.cached, sizes.shared),
            (10240, 9216, 8192, 7168, 6144)
        );
        assert_eq!(load("0.35 2.89 12.62 5/117 21887\n"), Some((0.35, 2.89, 12.62)));
        assert_eq!(group("1:name=x:/a\n0::/b/c\n"), Some("b/c"));
        assert_eq!(group("0::/\n"), Some(""));
        assert_eq!(group("0::/../x\n"), None);
    }

    #[test]
    fn what_is_missing_is_not_guessed() {
        assert_eq!(cpu("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(cpu("cpu  1 2 3\n"), None);
        assert_eq!(memory("MemTotal: 10 kB\n"), None);
        assert_eq!(load("0.1 nan 0.2\n"), None);
        assert_eq!(networks("a\nb\n lo: 1 2 3\n"), None);
    }

    proptest! {
        #[test]
        fn networks_are_read_back(rows in proptest::collection::vec(("[a-z][a-z0-9.@-]{0,14}(:[0-9])?", any::<u64>(), any::<u64>()), 0..8)) {
            let mut text = String::from("Inter-| Receive\n face |bytes\n");
            for (name, rx, tx) in &rows {
                text.push_str(&format!("{name:>6}: {rx} 2 3 4 5 6 7 8 {tx} 10 11 12 13 14 15 16\n"));
            }
            let read: Vec<_> = networks(&text).unwrap().into_iter().map(|one| (one.name, one.rx_bytes, one.tx_bytes)).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn times_are_read_back(fields in proptest::collection::vec(0..u64::MAX / 16, 7..11), count in 0..9_u32) {
            let line: Vec<String> = fields.iter().map(u64::to_string).collect();
            let mut text = format!("cpu  {}\n", line.join(" "));
            (0..count).for_each(|number| text.push_str(&format!("cpu{number} 1 2\n")));
            let times = cpu(&text).unwrap();
            prop_assert_eq!((times.count, times.user, times.system, times.soft_irq), (count, fields[0], fields[2], fields[6]));
            prop_assert_eq!(times.total, fields.iter().sum::<u64>());
        }

        #[test]
        fn no_text_is_fatal(text in "(?s).{0,200}", lines in "(cpu|cpu0|MemTotal:|lo:|0::/)( [0-9]{0,25}){0,20}( kB)?") {
            for text in [text, lines] {
                let _ = (cpu(&text), memory(&text), load(&text), networks(&text), group(&text));
            }
        }
    }
}
