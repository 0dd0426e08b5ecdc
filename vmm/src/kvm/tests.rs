// SPDX-License-Identifier: Apache-2.0
//! Tier 2: a few instructions of long mode on any `/dev/kvm` that opens, hardware behind it or
//! not. Where none opens each test says that it was skipped.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::arch::x86_64::{layout, tables};
use crate::bus::{BusDevice, Range};
use crate::memory;

/// Beyond the memory of these machines, but mapped by the boot page tables.
const WINDOW: u64 = 0x0800_0000;
/// Long enough for an emulated instruction, however busy the host is.
const SOON: Duration = Duration::from_secs(20);

fn dev_kvm() -> Option<OwnedFd> {
    match File::options().read(true).write(true).open("/dev/kvm") {
        Ok(kvm) => Some(kvm.into()),
        Err(error) => {
            eprintln!("SKIPPED, tier 2: /dev/kvm does not open: {error}");
            None
        }
    }
}

/// A machine about to run `code` in long mode at 1 MiB.
fn machine(code: &[u8]) -> Option<(Vm, Vcpu, memory::GuestMemory)> {
    let memory = memory::allocate(48 << 20).unwrap();
    tables::write(&memory).unwrap();
    let entry = layout::HIGH_MEMORY;
    memory.write_slice(code, GuestAddress(entry)).unwrap();
    let vm = Vm::new(dev_kvm()?, &memory).unwrap();
    let vcpu = vm.vcpus(1, entry).unwrap().pop().unwrap();
    Some((vm, vcpu, memory))
}

/// Runs a vCPU on a thread of its own, with the means to end it and to learn its end.
fn start(vcpu: Vcpu, buses: Buses) -> (Kicker, Receiver<VcpuEnd>) {
    install_kick().unwrap();
    let ending = Arc::new(AtomicBool::new(false));
    let mut kicker = Kicker::new(ending.clone());
    let (send, ends) = channel();
    kicker.add(std::thread::spawn(move || {
        let (_, end) = vcpu.run(&buses, &ending);
        let _ = send.send(end);
        None
    }));
    (kicker, ends)
}

/// Offsets and bytes of writes, in order.
type Written = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

/// Remembers what was written to it; reads as 0x5a. Shared with the test.
#[derive(Default)]
struct Probe(Written);

impl BusDevice for Probe {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0x5a);
    }
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.0.lock().unwrap().push((offset, data.to_vec()));
    }
}

fn probe() -> (Arc<Mutex<Probe>>, Written) {
    let probe = Probe::default();
    let seen = probe.0.clone();
    (Arc::new(Mutex::new(probe)), seen)
}

#[test]
fn port_and_memory_accesses_reach_their_buses_and_a_fault_of_faults_is_told() {
    // in al, 0x60; inc al; mov [WINDOW + 8], al; out 0x62, al; ud2 (there is no IDT).
    let code = b"\xe4\x60\xfe\xc0\xa2\x08\x00\x00\x08\x00\x00\x00\x00\xe6\x62\x0f\x0b";
    let Some((_vm, vcpu, _memory)) = machine(code) else {
        return;
    };
    let mut buses = Buses::default();
    let (ports, out) = probe();
    let (window, written) = probe();
    let range = |base, len| Range { base, len };
    buses.ports.insert(range(0x60, 5), ports).unwrap();
    buses.mmio.insert(range(WINDOW, 0x1000), window).unwrap();
    let (mut kicker, ends) = start(vcpu, buses);
    let end = ends.recv_timeout(SOON).unwrap();
    assert!(matches!(end, VcpuEnd::TripleFault), "{end:?}");
    assert_eq!(*written.lock().unwrap(), [(8, vec![0x5b])]);
    assert_eq!(*out.lock().unwrap(), [(2, vec![0x5b])]);
    kicker.stop();
}

#[test]
fn nobodys_ports_read_as_ones_and_take_writes() {
    // in al, 0x80; out 0x81, al; out 0x60, al; ud2.
    let Some((_vm, vcpu, _memory)) = machine(b"\xe4\x80\xe6\x81\xe6\x60\x0f\x0b") else {
        return;
    };
    let mut buses = Buses::default();
    let (ports, out) = probe();
    buses
        .ports
        .insert(Range { base: 0x60, len: 1 }, ports)
        .unwrap();
    let (mut kicker, ends) = start(vcpu, buses);
    ends.recv_timeout(SOON).unwrap();
    assert_eq!(*out.lock().unwrap(), [(0, vec![0xff])]);
    kicker.stop();
}

#[test]
fn a_guest_that_spins_and_one_that_halts_for_good_are_kicked_out() {
    // jmp $; cli, hlt.
    for code in [&b"\xeb\xfe"[..], b"\xfa\xf4"] {
        let Some((_vm, vcpu, _memory)) = machine(code) else {
            return;
        };
        let (mut kicker, ends) = start(vcpu, Buses::default());
        let still = ends.recv_timeout(Duration::from_millis(50));
        assert!(matches!(still, Err(RecvTimeoutError::Timeout)), "{still:?}");
        kicker.stop();
        let end = ends.recv().unwrap();
        assert!(matches!(end, VcpuEnd::Told), "{end:?}");
    }
}

#[test]
fn a_queue_notification_is_an_event_for_its_queue_alone() {
    // mov eax, 1; mov [WINDOW + 0x50], eax; ud2.
    let code = b"\xb8\x01\0\0\0\xa3\x50\x00\x00\x08\x00\x00\x00\x00\x0f\x0b";
    let Some((vm, vcpu, _memory)) = machine(code) else {
        return;
    };
    let event = || vmm_sys_util::eventfd::EventFd::new(libc::EFD_NONBLOCK).unwrap();
    let (first, second) = (event(), event());
    vm.notify(&first, WINDOW + 0x50, 0).unwrap();
    vm.notify(&second, WINDOW + 0x50, 1).unwrap();
    let (mut kicker, ends) = start(vcpu, Buses::default());
    ends.recv_timeout(SOON).unwrap();
    assert_eq!(second.read().unwrap(), 1);
    assert!(first.read().is_err());
    kicker.stop();
}

#[test]
fn a_descriptor_that_is_not_kvm_is_named_as_such() {
    let file = tempfile::tempfile().unwrap();
    let memory = memory::allocate(48 << 20).unwrap();
    let error = Vm::new(file.into(), &memory).err().unwrap();
    assert!(matches!(error, KvmError::NotKvm(-1)), "{error}");
}
