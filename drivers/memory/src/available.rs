//! The memory that a process may use: its machine's, or what its control groups and its own limits leave of it.

use std::fs;
use std::path::{Path, PathBuf};

/// Assumed if the system does not report its memory.
const UNKNOWN_BYTES: u64 = 2 << 30;
/// The mount point of control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Returns the bytes of memory that this process may use: the minimum of the physical memory, the limits of its control group
/// and of the enclosing groups, and its own limits on address space and data (`RLIMIT_AS`, `RLIMIT_DATA`).
///
/// Only Linux reports all of this. On other systems the physical memory is assumed to be 2 GiB, and on Windows nothing else is
/// considered.
pub fn available() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").map(|text| group_files(&text)).unwrap_or_default();
    let groups = groups.into_iter().filter_map(|file| group_limit(&fs::read_to_string(file).ok()?));
    own_limits().into_iter().chain(groups).chain([physical()]).min().unwrap_or(UNKNOWN_BYTES)
}

/// Returns the process's own limits in bytes.
fn own_limits() -> Vec<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        [Resource::As, Resource::Data]
            .into_iter()
            .filter_map(|resource| getrlimit(resource).current)
            .collect()
    }
    #[cfg(not(unix))]
    Vec::new()
}

/// Returns the bytes of physical memory.
fn physical() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        u64::from(info.mem_unit).saturating_mul(info.totalram)
    }
    #[cfg(not(target_os = "linux"))]
    UNKNOWN_BYTES
}

/// Returns the files that may limit the memory of a process whose `/proc/self/cgroup` has this text: those of its group and of
/// every enclosing group. In a container its group is the root of the visible hierarchy, whatever the text says.
fn group_files(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (CGROUPS.into(), "memory.max"),
            named if named.split(',').any(|name| name == "memory") => {
                (format!("{CGROUPS}/{named}"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        files.extend(groups.map(|group| Path::new(&root).join(group).join(file)));
    }
    files
}

/// Parses the limit in such a file. "max", and numbers that no machine has, mean that there is no limit.
fn group_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_use_some_memory_and_no_more_than_there_is() {
        assert!(available() > 1 << 20);
        assert!(available() <= physical());
    }

    #[test]
    fn groups_of_both_versions_and_those_around_them_are_looked_at() {
        let files = group_files("5:cpu,memory:/a/b\n3:cpuset:/\n0::/c\nbroken\n");
        let expected = [
            "/sys/fs/cgroup/cpu,memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/cpu,memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/cpu,memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/c/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[test]
    fn a_group_without_a_limit_says_so_in_words() {
        assert_eq!(group_limit("max\n"), None);
        assert_eq!(group_limit("1073741824\n"), Some(1 << 30));
    }
}
