// SPDX-License-Identifier: Apache-2.0
//! What people write on the command line for durations, sizes and variables.

use std::time::Duration;

/// Why a word is not what it should be. Each says what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number without its unit.
    #[error("'{0}' has no unit; write {0}s, {0}m or {0}h, e.g. 10s, 5m, 1h30m")]
    NoDurationUnit(String),
    /// A time before now.
    #[error("a duration cannot be negative; write e.g. 10s, 5m, 1h30m")]
    Negative,
    /// Nothing, in time.
    #[error("a duration must be more than zero; write e.g. 10s, 5m, 1h30m")]
    Zero,
    /// Anything else that is no duration.
    #[error("'{0}' is not a duration; write e.g. 500ms, 10s, 5m, 1h30m, 7d")]
    NotADuration(String),
    /// A number without its unit.
    #[error("'{0}' has no unit; write {0}M or {0}G, e.g. 64M, 1G")]
    NoSizeUnit(String),
    /// Nothing, in bytes.
    #[error("a size must be more than zero; write e.g. 64M, 1G")]
    ZeroSize,
    /// Anything else that is no size.
    #[error("'{0}' is not a size; write e.g. 64M, 1G")]
    NotASize(String),
    /// Guest memory out of its range.
    #[error("{0} is too little or too much; between {least}M and {most}G",
        least = vmm::config::MIN_MEMORY_MIB, most = vmm::config::MAX_MEMORY_MIB / 1024)]
    Memory(String),
    /// Scratch space out of its range.
    #[error("{0} is too little; at least 1M")]
    Scratch(String),
    /// A CPU count out of its range.
    #[error("'{0}' is not possible; a whole number from 1 to {most}", most = vmm::config::MAX_VCPUS)]
    Cpus(String),
    /// Not `NAME=value` and not the name of a variable that is set.
    #[error("'{0}' is not NAME=VALUE, nor a variable that is set here")]
    NotAVariable(String),
}

/// Parses `500ms`, `10s`, `5m`, `1h30m`, `7d`; a unit is required, nothing is not allowed.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::NotADuration(text.to_owned());
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if text.strip_prefix('-').is_some_and(is_number) {
        return Err(ValueError::Negative);
    }
    // Its unit does not matter, and `write 0s` would be bad advice.
    if is_zero(text) {
        return Err(ValueError::Zero);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::NoDurationUnit(text.to_owned()));
    }
    let (mut rest, mut total, mut last) = (text, 0u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        if unit >= last {
            return Err(wrong()); // 5m1h, 1s1s
        }
        let part = number.checked_mul(unit);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        (rest, last) = (after, unit);
    }
    match total {
        0 if text.is_empty() => Err(wrong()),
        0 => Err(ValueError::Zero),
        millis => Ok(Duration::from_millis(millis)),
    }
}

fn is_zero(number: &str) -> bool {
    !number.is_empty() && number.bytes().all(|byte| byte == b'0')
}

/// As [`duration`], but `0` and `0s` are durations too: a grace period may be none.
///
/// # Errors
/// What to write instead.
pub fn grace(text: &str) -> Result<Duration, ValueError> {
    match duration(text) {
        Err(ValueError::Zero) => Ok(Duration::ZERO),
        other => other,
    }
}

/// Parses `64M`, `1G` (also `K`, `T`, and spellings like `MB` and `MiB`, which are the same) as
/// bytes.
///
/// # Errors
/// What to write instead.
pub fn size(text: &str) -> Result<u64, ValueError> {
    let wrong = || ValueError::NotASize(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(ValueError::ZeroSize);
    }
    let shift = match unit {
        "" => return Err(ValueError::NoSizeUnit(text.to_owned())),
        "K" | "k" | "KB" | "kB" | "KiB" => 10,
        "M" | "m" | "MB" | "MiB" => 20,
        "G" | "g" | "GB" | "GiB" => 30,
        "T" | "t" | "TB" | "TiB" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Parses guest memory.
///
/// # Errors
/// What to write instead.
pub fn memory(text: &str) -> Result<vmm::config::MemoryMib, ValueError> {
    let bytes = size(text)?;
    let out_of_range = || ValueError::Memory(text.to_owned());
    vmm::config::MemoryMib::try_from(bytes >> 20).map_err(|_| out_of_range())
}

/// Parses scratch space, in bytes.
///
/// # Errors
/// What to write instead.
pub fn scratch(text: &str) -> Result<u64, ValueError> {
    let bytes = size(text)?;
    if bytes < 1 << 20 {
        Err(ValueError::Scratch(text.to_owned()))
    } else {
        Ok(bytes)
    }
}

/// Parses a number of CPUs.
///
/// # Errors
/// What to write instead.
pub fn cpus(text: &str) -> Result<vmm::config::VcpuCount, ValueError> {
    text.parse().map_err(|_| ValueError::Cpus(text.to_owned()))
}

/// Parses `NAME=VALUE`, or `NAME` for the variable as it is set here.
///
/// # Errors
/// What to write instead.
pub fn variable(text: &str) -> Result<String, ValueError> {
    let wrong = || ValueError::NotAVariable(text.to_owned());
    let named = text.split_once('=').map_or(text, |(name, _)| name);
    if named.is_empty() {
        return Err(wrong());
    }
    if named.len() < text.len() {
        return Ok(text.to_owned());
    }
    std::env::var(text)
        .map(|value| format!("{text}={value}"))
        .map_err(|_| wrong())
}

/// A duration as people would write it: `1h30m`, `4s`, `250ms`.
#[must_use]
pub fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis < 1000 || (millis < 10_000 && millis % 1000 != 0) {
        return if millis < 1000 {
            format!("{millis}ms")
        } else {
            format!("{}.{}s", millis / 1000, millis % 1000 / 100)
        };
    }
    let seconds = millis / 1000;
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let (mut rest, mut text) = (seconds, String::new());
    for (unit, length) in units {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

/// Short: whole seconds, minutes, hours or days.
#[must_use]
pub fn one_unit(age: Duration) -> String {
    let seconds = age.as_secs();
    let unit = [86_400, 3600, 60, 1]
        .into_iter()
        .find(|unit| seconds >= *unit)
        .unwrap_or(1);
    show(Duration::from_secs((seconds / unit * unit).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_with_units_are_read() {
        for (text, millis) in [
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_number_without_unit_or_below_zero_says_what_to_write() {
        let bare = duration("10").unwrap_err().to_string();
        assert!(bare.contains("10s"), "{bare}");
        let negative = duration("-1m").unwrap_err().to_string();
        assert!(negative.contains("5m"), "{negative}");
    }

    #[test]
    fn nothing_is_told_from_a_forgotten_unit() {
        for error in [
            duration("0").unwrap_err(),
            duration("0s").unwrap_err(),
            size("0").unwrap_err(),
            memory("0").unwrap_err(),
            scratch("0M").unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("more than zero"), "{text}");
            assert!(!text.contains("write 0"), "{text}");
        }
        assert_eq!(grace("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn an_option_in_place_of_a_duration_is_not_called_negative() {
        let text = duration("--json").unwrap_err().to_string();
        assert!(text.contains("'--json' is not a duration"), "{text}");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "5x",
            "1m1h",
            "1s1s",
            "1.5h",
            "0s",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(grace("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, text) in [
            (0, "1s"),
            (59, "59s"),
            (61, "1m"),
            (7300, "2h"),
            (90_000, "1d"),
        ] {
            assert_eq!(one_unit(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1G"), Ok(1 << 30));
        for text in ["512M", "512MB", "512MiB"] {
            assert_eq!(size(text), Ok(512 << 20), "{text}");
        }
        assert!(size("64").unwrap_err().to_string().contains("64M"));
        for text in ["", "M", "1X", "-1M", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(memory("1M").unwrap_err().to_string().contains('M'));
        assert_eq!(memory("5G").unwrap().get(), 5120);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = (duration(&text), size(&text), cpus(&text));
        }

        #[test]
        fn whole_seconds_are_shown_as_they_are_read(seconds in 1u64..10_000_000) {
            let given = Duration::from_secs(seconds);
            prop_assert_eq!(duration(&show(given)), Ok(given));
        }
    }
}
