// SPDX-License-Identifier: Apache-2.0
//! Requests, right and wrong.
#![expect(clippy::indexing_slicing, reason = "tests make what they index")]

use std::io::{Seek, Write};

use super::super::mmio::register;
use super::super::testing::{Driver, WRITE};
use super::*;
use crate::interrupt::CONFIGURATION;

/// A drive of three and a half sectors, each byte its sector's number plus one.
fn drive() -> File {
    let mut file = tempfile::tempfile().unwrap();
    for (sector, len) in [(1, 512), (2, 512), (3, 512), (4, 256)] {
        file.write_all(&vec![sector; len]).unwrap();
    }
    file
}

fn driver() -> Driver {
    Driver::started(Block::new(drive()).unwrap())
}

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

/// Sends a request with `room` bytes for data; returns status, data and used length.
fn ask(driver: &mut Driver, header: &[u8], room: usize) -> (u8, Vec<u8>, u32) {
    let request = driver.put(header);
    let data = driver.put(&vec![0xaa; room]);
    let status = driver.put(&[0xff]);
    let buffers = [
        (request, header.len(), 0),
        (data, room, WRITE),
        (status, 1, WRITE),
    ];
    driver.send(0, &buffers);
    driver.kick(0);
    let (_, len) = driver.used(0).unwrap();
    (driver.bytes(status, 1)[0], driver.bytes(data, room), len)
}

#[test]
fn a_read_gives_the_sectors_asked_for() {
    let mut driver = driver();
    let (status, data, len) = ask(&mut driver, &header(0, 1), 1024);
    assert_eq!((status, len), (0, 1025));
    assert_eq!(data, [[2; 512], [3; 512]].concat());
    assert_eq!(driver.interrupts(), 1);
}

#[test]
fn the_last_sector_is_padded_with_zeros() {
    let mut driver = driver();
    let (status, data, _) = ask(&mut driver, &header(0, 2), 1024);
    assert_eq!(status, 0);
    assert_eq!(data, [vec![3; 512], vec![4; 256], vec![0; 256]].concat());
    assert_eq!(driver.read(register::CONFIG), 4);
}

#[test]
fn a_read_is_scattered_over_buffers_that_share_no_boundary_with_sectors() {
    let mut driver = driver();
    let request = driver.put(&header(0, 0));
    let data = driver.allocate(1024);
    let status = driver.allocate(1);
    let buffers = [
        (request, 7, 0),
        (request + 7, 9, 0),
        (data, 100, WRITE),
        (data + 100, 900, WRITE),
        (data + 1000, 24, WRITE),
        (status, 1, WRITE),
    ];
    driver.send(0, &buffers);
    driver.kick(0);
    assert!(driver.used(0).is_some());
    assert_eq!(driver.bytes(data, 1024), [[1; 512], [2; 512]].concat());
    assert_eq!(driver.bytes(status, 1), [0]);
}

#[test]
fn the_status_may_share_a_buffer_with_data() {
    let mut driver = driver();
    let request = driver.put(&header(0, 0));
    let data = driver.put(&[0xaa; 513]);
    driver.send(0, &[(request, 16, 0), (data, 513, WRITE)]);
    driver.kick(0);
    assert_eq!(driver.bytes(data, 513), [&[1; 512][..], &[0]].concat());
}

#[test]
fn reads_outside_the_drive_or_of_part_of_a_sector_are_errors() {
    let mut driver = driver();
    let cases = [
        (4, 512),
        (3, 1024),
        (u64::MAX, 512),
        (u64::MAX / 512, 512),
        (u64::MAX / 512 + 1, 512),
        (0, 511),
        (0, 1),
    ];
    for (sector, room) in cases {
        let (status, data, _) = ask(&mut driver, &header(0, sector), room);
        assert_eq!(status, 1, "{sector}+{room}");
        assert!(data.iter().all(|byte| *byte == 0xaa));
    }
    assert_eq!(
        ask(&mut driver, &header(0, 4), 0).0,
        0,
        "nothing, at the end"
    );
    assert!(!driver.needs_reset());
}

#[test]
fn writes_of_any_kind_are_errors_and_change_nothing() {
    let mut driver = driver();
    for kind in [1, 11, 13, 14] {
        assert_eq!(ask(&mut driver, &header(kind, 0), 0).0, 1, "{kind}");
    }
    let data = [header(1, 0), vec![9; 512]].concat();
    assert_eq!(ask(&mut driver, &data, 0).0, 1);
    assert_eq!(ask(&mut driver, &header(0, 0), 512).1, [1; 512]);
}

#[test]
fn a_flush_has_nothing_to_do_and_unknown_types_are_unsupported() {
    let mut driver = driver();
    assert_eq!(ask(&mut driver, &header(4, 0), 0).0, 0);
    for kind in [2, 5, 16, 24, u32::MAX] {
        assert_eq!(ask(&mut driver, &header(kind, 0), 512).0, 2, "{kind}");
    }
}

#[test]
fn the_identification_needs_its_twenty_bytes() {
    let mut driver = driver();
    let (status, data, _) = ask(&mut driver, &header(8, 0), 20);
    assert_eq!(status, 0);
    assert_eq!(data, b"ampoule\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(ask(&mut driver, &header(8, 0), 19).0, 1);
}

#[test]
fn a_short_header_is_an_error() {
    let mut driver = driver();
    for len in [0, 1, 15] {
        assert_eq!(ask(&mut driver, &header(0, 0)[..len], 512).0, 1, "{len}");
    }
    assert!(!driver.needs_reset());
}

#[test]
fn a_request_without_room_for_its_status_breaks_the_ring() {
    let mut driver = driver();
    let request = driver.put(&header(0, 0));
    driver.send(0, &[(request, 16, 0)]);
    driver.kick(0);
    assert!(driver.needs_reset());
    assert_eq!(driver.used(0), None);
}

#[test]
fn a_file_that_shrank_is_an_error_and_never_zeros() {
    let file = drive();
    let mut driver = Driver::started(Block::new(file.try_clone().unwrap()).unwrap());
    file.set_len(512).unwrap();
    assert_eq!(ask(&mut driver, &header(0, 0), 512).0, 0);
    assert_eq!(ask(&mut driver, &header(0, 1), 512).0, 1);
}

#[test]
fn the_position_of_the_file_is_not_used() {
    let mut file = drive();
    let mut driver = Driver::started(Block::new(file.try_clone().unwrap()).unwrap());
    file.seek(std::io::SeekFrom::Start(77)).unwrap();
    assert_eq!(ask(&mut driver, &header(0, 0), 512).1, [1; 512]);
    assert_eq!(file.stream_position().unwrap(), 77);
}

#[test]
fn many_requests_are_served_in_one_go_with_one_interrupt() {
    let mut driver = driver();
    let request = driver.put(&header(0, 0));
    let data = driver.allocate(513);
    for _ in 0..60 {
        driver.send(0, &[(request, 16, 0), (data, 513, WRITE)]);
    }
    driver.kick(0);
    assert_eq!(std::iter::from_fn(|| driver.used(0)).count(), 60);
    assert_eq!(driver.interrupts(), 1);
}

#[test]
fn only_a_file_with_something_in_it_is_a_drive() {
    let empty = Block::new(tempfile::tempfile().unwrap());
    assert!(matches!(empty, Err(BlockError::Empty)));
    let folder = Block::new(File::open("/").unwrap());
    assert!(matches!(folder, Err(BlockError::NotAFile)));
    let device = Block::new(File::open("/dev/null").unwrap());
    assert!(matches!(device, Err(BlockError::NotAFile)));
}

#[test]
fn a_drive_without_a_medium_may_be_given_one_when_restored_and_the_driver_is_told() {
    let mut driver = Driver::started(Block::empty());
    let capacity = |driver: &mut Driver| driver.read(register::CONFIG);
    assert_eq!(capacity(&mut driver), 0);
    let (status, _, _) = ask(&mut driver, &header(request::IN, 0), 512);
    assert_eq!(status, Status::IoError as u8);
    let mut driver = driver.restored(Block::new(drive()).unwrap()).unwrap();
    assert_ne!(capacity(&mut driver), 0);
    assert_eq!(driver.read(register::CONFIG_GENERATION), 1);
    assert_eq!(
        driver.read(register::INTERRUPT_STATUS) & CONFIGURATION,
        CONFIGURATION
    );
    let (status, _, _) = ask(&mut driver, &header(request::IN, 0), 512);
    assert_eq!(status, Status::Ok as u8);
}

#[test]
fn a_medium_may_be_put_in_once_while_the_driver_looks_on() {
    let mut driver = Driver::started(Block::empty());
    driver.transport.insert(drive()).unwrap();
    assert_eq!(driver.read(register::CONFIG), 4);
    assert_eq!(driver.read(register::CONFIG_GENERATION), 1);
    assert_eq!(driver.interrupts(), 1);
    let (status, _, _) = ask(&mut driver, &header(request::IN, 0), 512);
    assert_eq!(status, Status::Ok as u8);
    assert!(driver.transport.insert(drive()).is_err());
    assert_eq!(driver.read(register::CONFIG_GENERATION), 1);
}

#[test]
fn a_medium_is_not_exchanged_for_one_of_another_size() {
    let driver = Driver::started(Block::new(drive()).unwrap());
    assert!(driver.restored(Block::empty()).is_err());
    let driver = Driver::started(Block::new(drive()).unwrap());
    assert!(driver.restored(Block::new(drive()).unwrap()).is_ok());
}
