// SPDX-License-Identifier: Apache-2.0
//! The debug console: a 16550 serial port whose output is kept, the last of it.
//!
//! It exists only when asked for. What the guest prints goes into a ring of
//! [`CONSOLE_TAIL`] bytes and nowhere else, and leaves with the machine's last word.

use std::collections::VecDeque;
use std::io::{self, Write};

use vm_superio::Trigger;
use vm_superio::serial::NoEvents;
use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;
use crate::control::CONSOLE_TAIL;

/// The port and the tail of its output.
#[derive(Debug)]
pub(crate) struct Serial {
    uart: vm_superio::Serial<Line, NoEvents, Tail>,
}

impl Serial {
    /// Raises interrupts through `line`.
    pub(crate) fn new(line: EventFd) -> Self {
        let uart = vm_superio::Serial::new(Line(line), Tail::default());
        Self { uart }
    }

    /// The last of what the guest printed.
    pub(crate) fn tail(&self) -> Vec<u8> {
        self.uart.writer().0.iter().copied().collect()
    }
}

impl BusDevice for Serial {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        if let ([byte], Ok(offset)) = (data, u8::try_from(offset)) {
            *byte = self.uart.read(offset);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let ([byte], Ok(offset)) = (data, u8::try_from(offset)) {
            // The tail takes everything; a lost interrupt only delays the console's driver.
            let _ = self.uart.write(offset, *byte);
        }
    }
}

#[derive(Debug)]
struct Line(EventFd);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// The last [`CONSOLE_TAIL`] bytes written.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(CONSOLE_TAIL);
        self.0.drain(..excess);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial() -> Serial {
        Serial::new(EventFd::new(libc::EFD_NONBLOCK).unwrap())
    }

    #[test]
    fn what_is_printed_is_kept_up_to_the_bound_and_the_oldest_goes() {
        let mut serial = serial();
        serial.write(0, b"x");
        for i in 0..CONSOLE_TAIL {
            serial.write(0, &[u8::try_from(i % 251).unwrap()]);
        }
        let tail = serial.tail();
        assert_eq!(tail.len(), CONSOLE_TAIL);
        assert_eq!(tail[..3], [0, 1, 2]);
    }

    #[test]
    fn the_transmitter_is_always_ready() {
        let mut status = [0];
        serial().read(5, &mut status);
        assert_eq!(status[0] & 0x20, 0x20);
    }

    #[test]
    fn wide_accesses_are_ignored() {
        let mut serial = serial();
        serial.write(0, b"xy");
        assert!(serial.tail().is_empty());
    }
}
