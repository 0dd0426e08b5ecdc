// SPDX-License-Identifier: Apache-2.0
//! The kernel's command line. Each word is here for a reason, and the devices in their order.

use std::fmt::Write;

use super::layout;

/// Every guest's words.
///
/// - `reboot=k,f panic=-1`: the one way out is the keyboard controller's reset, and a panic takes
///   it at once (the VMM has no power-off to offer). `f`: not before other CPUs are stopped and
///   interrupt controllers cleared, some 300 exits, for a machine that is gone with the reset.
/// - `root=/dev/vda rootfstype=erofs`: the image, without probing other file systems; read-only
///   is the kernel's default.
/// - `init=/.ampoule/init`: guest-init; the image's own init, if any, is not asked.
/// - `tsc=reliable`: KVM keeps the counter; no watchdog that compares it with another clock.
/// - `swiotlb=noforce`: virtio devices reach all memory; without it a guest of more than 4 GiB
///   sets 64 MiB aside for devices that do not.
/// - `noreplace-smp`: else a guest of one vCPU takes the LOCK prefixes out of the whole kernel at
///   boot: nearly every page of its text is then a copy of its own, at two faults a page.
///
/// What every guest wants and the kernel can be built with is not here: each word is compared
/// with every parameter the kernel knows.
const ALWAYS: &str = "reboot=k,f panic=-1 root=/dev/vda rootfstype=erofs \
    init=/.ampoule/init tsc=reliable swiotlb=noforce noreplace-smp";

/// Without a console nothing is printed, and the serial driver does not look for ports.
const QUIET: &str = "loglevel=1";

/// With one, everything is, from the first page table on.
const VERBOSE: &str = "loglevel=7 earlyprintk=ttyS0 console=ttyS0 8250.nr_uarts=1";

/// The command line for `devices` virtio devices: drives, vsock, rng, in the order of their
/// windows. Always ASCII and without a zero byte.
pub(crate) fn command_line(devices: usize, debug_console: bool) -> String {
    let mut line = String::with_capacity(layout::COMMAND_LINE_MAX);
    line.push_str(if debug_console { VERBOSE } else { QUIET });
    line.push(' ');
    line.push_str(ALWAYS);
    for (base, irq) in (0..devices).map_while(layout::device_place) {
        // <size>@<base>:<irq>, Linux drivers/virtio/virtio_mmio.c. Writing to a String succeeds.
        let _ = write!(line, " virtio_mmio.device=4K@{base:#x}:{irq}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_in_the_order_of_their_windows() {
        let line = command_line(2, false);
        assert!(line.starts_with("loglevel=1 "), "{line}");
        assert!(
            line.ends_with(
                " virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6"
            ),
            "{line}"
        );
    }

    #[test]
    fn the_debug_console_is_the_kernels_console() {
        let line = command_line(0, true);
        assert!(line.contains("console=ttyS0"), "{line}");
        assert!(!line.contains("loglevel=1"), "{line}");
        assert!(!command_line(0, false).contains("ttyS0"));
    }

    #[test]
    fn the_longest_line_fits_with_its_final_zero() {
        assert!(command_line(layout::MAX_DEVICES, true).len() < layout::COMMAND_LINE_MAX);
    }
}
