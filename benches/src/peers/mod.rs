// SPDX-License-Identifier: Apache-2.0
//! Other monitors, measured beside ours.
use anyhow::Result;

use crate::ampoule::Guest;
use crate::results::Results;

#[derive(clap::Args)]
pub(crate) struct Peers {}

pub(crate) fn boot(_: &Peers, _: &Guest, _: u32, _: &mut Results) -> Result<()> {
    Ok(())
}
