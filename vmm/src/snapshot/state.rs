// SPDX-License-Identifier: Apache-2.0
//! What a machine is beside its memory, as protobuf. Field numbers are the format's and never
//! reused; a change that an older reader would misunderstand raises [`super::VERSION`].
//!
//! KVM's structures are kept as their bytes: they are the kernel's ABI (`linux/kvm.h`), and only
//! the host they were taken on reads them again.

use prost::Message;

/// A machine that stands still.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MachineState {
    /// Version of the VMM that wrote it.
    #[prost(string, tag = "1")]
    pub(crate) vmm: String,
    /// The host kernel's release: KVM's structures are its own.
    #[prost(string, tag = "2")]
    pub(crate) host_kernel: String,
    /// Bytes of guest memory.
    #[prost(uint64, tag = "3")]
    pub(crate) memory: u64,
    /// Rate of the guest's TSC.
    #[prost(uint32, tag = "4")]
    pub(crate) tsc_khz: u32,
    /// kvm-clock, nanoseconds.
    #[prost(uint64, tag = "5")]
    pub(crate) clock: u64,
    #[prost(message, repeated, tag = "6")]
    pub(crate) vcpus: Vec<VcpuState>,
    /// `struct kvm_irqchip` each: both PICs, the IOAPIC.
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(crate) chips: Vec<Vec<u8>>,
    /// In the order of their windows.
    #[prost(message, repeated, tag = "8")]
    pub(crate) devices: Vec<TransportState>,
    /// Where in memory there is something, in order.
    #[prost(message, repeated, tag = "9")]
    pub(crate) extents: Vec<Extent>,
}

/// Pages of guest memory, counted through its regions one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Extent {
    /// The first.
    #[prost(uint64, tag = "1")]
    pub(crate) first: u64,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub(crate) count: u64,
}

/// The pages that a guest restored from this snapshot writes to.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WorkingSet {
    /// Until it is ready.
    #[prost(message, repeated, tag = "1")]
    pub(crate) ready: Vec<Extent>,
    /// And then for its first command.
    #[prost(message, repeated, tag = "2")]
    pub(crate) command: Vec<Extent>,
}

/// One vCPU (`Documentation/virt/kvm/api.rst` names each structure).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct VcpuState {
    /// The profile it had: `struct kvm_cpuid_entry2` each.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cpuid: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) regs: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) sregs: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) xsave: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) xcrs: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) debug_regs: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) events: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) lapic: Vec<u8>,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) mp_state: Vec<u8>,
    /// `struct kvm_msr_entry` each, in the order they are to be written.
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) msrs: Vec<u8>,
}

/// One virtio device with its transport.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TransportState {
    /// Device ID (virtio 1.2 §5).
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) status: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) device_features_sel: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) driver_features_sel: u32,
    #[prost(uint64, tag = "5")]
    pub(crate) driver_features: u64,
    #[prost(uint32, tag = "6")]
    pub(crate) queue_sel: u32,
    /// Interrupt causes not acknowledged.
    #[prost(uint32, tag = "7")]
    pub(crate) causes: u32,
    /// `ConfigGeneration`.
    #[prost(uint32, tag = "8")]
    pub(crate) generation: u32,
    #[prost(message, repeated, tag = "9")]
    pub(crate) queues: Vec<QueueState>,
    /// The configuration space the driver has read.
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) config: Vec<u8>,
    /// The device's own.
    #[prost(bytes = "vec", tag = "11")]
    pub(crate) device: Vec<u8>,
}

/// One virtqueue: what the driver wrote, and how far it was served.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct QueueState {
    #[prost(uint32, tag = "1")]
    pub(crate) size: u32,
    #[prost(bool, tag = "2")]
    pub(crate) ready: bool,
    #[prost(uint64, tag = "3")]
    pub(crate) descriptors: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) driver: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) device: u64,
    /// Next index of the available ring; at most 16 bits, as the next.
    #[prost(uint32, tag = "6")]
    pub(crate) next_available: u32,
    /// Next index of the used ring.
    #[prost(uint32, tag = "7")]
    pub(crate) next_used: u32,
    /// The driver broke it.
    #[prost(bool, tag = "8")]
    pub(crate) broken: bool,
}
