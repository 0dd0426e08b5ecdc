// SPDX-License-Identifier: Apache-2.0
//! How many times slower than alone a guest may be because of what else this host does.

/// For a guest of `cpus` vCPUs: the larger of how many of those share a CPU, and how many
/// runnable threads do. At least 1.
#[must_use]
pub fn share(cpus: u8) -> u32 {
    let host = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let host = u32::try_from(host).unwrap_or(u32::MAX);
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let wanting = runnable(&text).unwrap_or(0).max(u32::from(cpus));
    wanting.div_ceil(host).max(1)
}

/// The larger of the load of the last minute and the threads runnable now (proc(5), loadavg:
/// `0.20 0.18 0.12 1/80 11206`).
fn runnable(loadavg: &str) -> Option<u32> {
    let mut words = loadavg.split_whitespace();
    let minute: u32 = words.next()?.split('.').next()?.parse().ok()?;
    let now: u32 = words.nth(2)?.split('/').next()?.parse().ok()?;
    Some(minute.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_both_loads_counts() {
        assert_eq!(runnable("0.20 0.18 0.12 3/80 11206"), Some(3));
        assert_eq!(runnable("50.99 0.18 0.12 3/80 11206"), Some(50));
        assert_eq!(runnable(""), None);
    }

    #[test]
    fn a_guest_of_many_vcpus_shares_them_with_itself() {
        let host = std::thread::available_parallelism().unwrap().get();
        assert!(share(32) as usize >= 32 / host);
        assert!(share(1) >= 1);
    }
}
