// SPDX-License-Identifier: Apache-2.0
//! The keyboard controller, or the one thing of it a machine without a keyboard needs: the pulse
//! on the reset line, which Linux sends with `reboot=k`.

use std::fmt;

use crate::bus::BusDevice;

/// Command and status port, from the device's base.
const COMMAND: u64 = 4;
/// "Pulse the reset line" (`arch/x86/kernel/reboot.c`).
const RESET: u8 = 0xfe;

/// Calls back when the guest asks for a reset.
pub(crate) struct I8042 {
    reset: Box<dyn FnMut() + Send>,
}

impl I8042 {
    /// `reset` is called on the vCPU's thread, each time the guest asks.
    pub(crate) fn new(reset: impl FnMut() + Send + 'static) -> Self {
        let reset = Box::new(reset);
        Self { reset }
    }
}

impl fmt::Debug for I8042 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I8042").finish_non_exhaustive()
    }
}

impl BusDevice for I8042 {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        // Status: both buffers empty, so that nobody waits; data: nothing.
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == COMMAND && data == [RESET] {
            (self.reset)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn only_the_reset_command_resets() {
        let resets = Arc::new(AtomicU32::new(0));
        let counted = resets.clone();
        let mut device = I8042::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        device.write(COMMAND, &[0xd1]);
        device.write(0, &[RESET]);
        device.write(COMMAND, &[RESET, 0]);
        assert_eq!(resets.load(Ordering::SeqCst), 0);
        device.write(COMMAND, &[RESET]);
        assert_eq!(resets.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_controller_is_never_busy() {
        let mut status = [0xff];
        I8042::new(|| {}).read(COMMAND, &mut status);
        assert_eq!(status, [0]);
    }
}
