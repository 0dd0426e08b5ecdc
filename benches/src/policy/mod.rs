// SPDX-License-Identifier: Apache-2.0
//! What `policy` decides, measured on streams and corpora instead of a guest.

mod commands;
mod corpora;
mod figures;
mod learning;
mod random;
mod reviewers;
mod stream;

use anyhow::Result;
use clap::Subcommand;

use crate::results::Results;

#[derive(Subcommand)]
pub(crate) enum Question {
    /// How well labelled commands are told apart, and how long judging one takes.
    Commands(commands::Options),
    /// Whether learning from answers spares people questions, against a prior that never learns.
    Learning(learning::Options),
}

pub(crate) fn measure(question: &Question) -> Result<Results> {
    match question {
        Question::Commands(options) => commands::measure(options),
        Question::Learning(options) => learning::measure(options),
    }
}
