//! What the operating system says of this process.

/// Memory and open files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Octets of memory in use.
    pub(super) resident: Option<i64>,
    /// Open file descriptors.
    pub(super) files: Option<i64>,
    /// How many may be open.
    pub(super) files_limit: Option<i64>,
}

/// Reads it from `/proc`, where there is one.
pub(super) fn read() -> Process {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    Process {
        resident: field(&status, "VmRSS:").map(|kibibytes| kibibytes.saturating_mul(1024)),
        files: std::fs::read_dir("/proc/self/fd").ok().and_then(|all| i64::try_from(all.count()).ok()),
        files_limit: field(&limits, "Max open files"),
    }
}

/// The number after a name, on a line of its own.
fn field(text: &str, name: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_files() {
        assert_eq!(field("Name:\tx\nVmRSS:\t   5120 kB\n", "VmRSS:"), Some(5120));
        assert_eq!(field("Max open files            1024                 4096                 files\n", "Max open files"), Some(1024));
        assert_eq!(field("VmRSS:\n", "VmRSS:"), None);
    }
}
