// SPDX-License-Identifier: Apache-2.0
//! Connections, and messages to addresses.
//!
//! What stays in the guest (loopback, Unix sockets) is the kernel's to do: the guest has no card,
//! so an address that is changed meanwhile leads nowhere. Anything else is asked about, and made
//! on the very socket with the address that was judged.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use protocol::actions::{Act, Connect};
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use super::memory::Memory;
use super::plan::{Around, Deed, GO_ON, Plan};
use super::{process, sys};

/// `struct sockaddr_storage`.
const LONGEST: u32 = 128;
/// Messages of one sendmmsg(2) that are looked at (`UIO_MAXIOV`, which the kernel cuts to).
const MOST_MESSAGES: u32 = 1024;
/// Bytes of `struct mmsghdr`, and where in it a `struct msghdr` has its name's length.
const MMSGHDR: u64 = 64;
const NAME_LENGTH: u64 = 8;

/// An address, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// It stays in the guest.
    Inside,
    /// It leads out of it.
    Outside { to: String },
    /// Of a family that nothing is known of.
    Other(u16),
}

/// connect(2).
pub(crate) fn connect(
    around: &Around<'_>,
    socket: i32,
    address: u64,
    len: u32,
) -> Result<Plan, Errno> {
    let bytes = read(around, address, len)?;
    let (to, family) = match parse(&bytes)? {
        Address::Inside => return Ok(GO_ON),
        Address::Outside { to } => (to, None),
        Address::Other(family) => (String::new(), Some(family.to_string())),
    };
    let (_, pidfd) = process::open(around.caller.thread)?;
    let socket = sys::descriptor_of(pidfd, socket).map_err(|_| Errno::BADF)?;
    let family = family.map_or_else(|| kind(&socket), Ok)?;
    let act = Act::Connect(Connect { to, family });
    let deed = Deed::Connect {
        socket,
        address: bytes,
    };
    Ok(Plan::ask(around, act, deed))
}

/// What an IP socket speaks, as the host is told; its number for a type that is neither.
fn kind(socket: &OwnedFd) -> Result<String, Errno> {
    Ok(match socket_type(socket)? {
        SocketType::STREAM => "tcp".to_owned(),
        SocketType::DGRAM => "udp".to_owned(),
        other => format!("type {}", other.as_raw()),
    })
}

/// sendto(2) with an address.
pub(crate) fn send_to(around: &Around<'_>, address: u64, len: u32) -> Result<Plan, Errno> {
    inside(around, address, len)
}

/// sendmsg(2): most have no name.
pub(crate) fn message(around: &Around<'_>, header: u64) -> Result<Plan, Errno> {
    let mut memory = Memory::of(around.caller.thread);
    let name = memory.word(header)?;
    if name == 0 {
        return Ok(GO_ON);
    }
    let len = memory.word(header.saturating_add(NAME_LENGTH))?;
    let len = u32::try_from(len & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    inside(around, name, len)
}

/// sendmmsg(2).
pub(crate) fn messages(around: &Around<'_>, headers: u64, count: u32) -> Result<Plan, Errno> {
    for number in 0..u64::from(count.min(MOST_MESSAGES)) {
        let header = headers.saturating_add(number.saturating_mul(MMSGHDR));
        message(around, header)?;
    }
    Ok(GO_ON)
}

/// A message to an address goes where the guest goes: there is no other place, and none is asked
/// for here, since a message cannot be sent in a process' place with all that it may carry.
fn inside(around: &Around<'_>, address: u64, len: u32) -> Result<Plan, Errno> {
    // An address of no length is none, and of one too long the kernel takes the beginning.
    if len == 0 {
        return Ok(GO_ON);
    }
    let len = len.min(LONGEST);
    match parse(&as_sent(read(around, address, len)?))? {
        Address::Inside | Address::Other(_) => Ok(GO_ON),
        Address::Outside { .. } => Err(Errno::NETUNREACH),
    }
}

/// A datagram's address without a family is taken for IPv4 (`udp_sendmsg` in `net/ipv4/udp.c`).
fn as_sent(mut address: Vec<u8>) -> Vec<u8> {
    const UNSPEC: [u8; 2] = [0, 0];
    if let Some(family) = address.first_chunk_mut::<2>()
        && *family == UNSPEC
    {
        let inet = u16::try_from(libc::AF_INET).unwrap_or_default();
        *family = inet.to_ne_bytes();
    }
    address
}

fn read(around: &Around<'_>, address: u64, len: u32) -> Result<Vec<u8>, Errno> {
    if len > LONGEST {
        return Err(Errno::INVAL);
    }
    let len = usize::try_from(len).map_err(|_| Errno::INVAL)?;
    Memory::of(around.caller.thread).bytes(address, len)
}

fn parse(bytes: &[u8]) -> Result<Address, Errno> {
    let (family, rest) = bytes.split_first_chunk::<2>().ok_or(Errno::INVAL)?;
    let family = u16::from_ne_bytes(*family);
    let port = |rest: &[u8]| {
        rest.first_chunk::<2>()
            .map(|port| u16::from_be_bytes(*port))
    };
    let ip: IpAddr = match i32::from(family) {
        libc::AF_UNSPEC | libc::AF_UNIX | libc::AF_NETLINK => return Ok(Address::Inside),
        libc::AF_INET => {
            let octets = rest.get(2..).and_then(<[u8]>::first_chunk::<4>);
            Ipv4Addr::from(*octets.ok_or(Errno::INVAL)?).into()
        }
        libc::AF_INET6 => {
            // Behind the port and the flow label.
            let octets = rest.get(6..).and_then(<[u8]>::first_chunk::<16>);
            Ipv6Addr::from(*octets.ok_or(Errno::INVAL)?).to_canonical()
        }
        _ => return Ok(Address::Other(family)),
    };
    // An address of zeroes is the guest itself (`ip(7)`).
    if ip.is_loopback() || ip.is_unspecified() {
        return Ok(Address::Inside);
    }
    let port = port(rest).ok_or(Errno::INVAL)?;
    let to = SocketAddr::new(ip, port).to_string();
    Ok(Address::Outside { to })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    fn inet(octets: [u8; 4], port: u16) -> Vec<u8> {
        let family = u16::try_from(libc::AF_INET).unwrap();
        let mut bytes = family.to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend(octets);
        bytes.extend([0; 8]);
        bytes
    }

    fn inet6(address: &str, port: u16) -> Vec<u8> {
        let family = u16::try_from(libc::AF_INET6).unwrap();
        let mut bytes = family.to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn an_address_is_in_the_guest_or_out_of_it() {
        assert_eq!(parse(&inet([127, 0, 0, 9], 80)).unwrap(), Address::Inside);
        assert_eq!(parse(&inet([0; 4], 80)).unwrap(), Address::Inside);
        assert_eq!(parse(&inet6("::1", 80)).unwrap(), Address::Inside);
        assert_eq!(
            parse(&inet6("::ffff:127.0.0.1", 80)).unwrap(),
            Address::Inside
        );
        let out = |to: &str| Address::Outside { to: to.into() };
        assert_eq!(parse(&inet([8, 8, 8, 8], 53)).unwrap(), out("8.8.8.8:53"));
        assert_eq!(
            parse(&inet6("2001:db8::1", 443)).unwrap(),
            out("[2001:db8::1]:443")
        );
        let mapped = parse(&inet6("::ffff:8.8.8.8", 53)).unwrap();
        assert_eq!(mapped, out("8.8.8.8:53"));
    }

    #[test]
    fn what_is_cut_short_is_no_address() {
        assert_eq!(parse(&[]), Err(Errno::INVAL));
        assert_eq!(parse(&inet([8, 8, 8, 8], 53)[..6]), Err(Errno::INVAL));
        assert_eq!(parse(&[40, 0, 1]).unwrap(), Address::Other(40));
    }
}
