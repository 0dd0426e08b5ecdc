// SPDX-License-Identifier: Apache-2.0
//! Where a task's guest comes from: a pool, a template, another task or a boot, why it is not a
//! faster one, and the template that is made for the next such task.

use crate::cli::chain;
use crate::folders::Folders;
use crate::supervise::files::Files;
use crate::task::{How, Spec, Start};
use crate::template::make::Request;
use crate::template::{self, Cold, Key, Templates};

/// What a guest begins from, and what is to follow from that.
pub(super) struct Origin<'a> {
    folders: &'a Folders,
    spec: &'a Spec,
    /// Of its template; a copy has none.
    key: Option<Key>,
    /// Why it boots, if it does.
    pub(super) cold: Option<Cold>,
    /// It waited in a pool.
    pooled: bool,
    /// Why it did not, though there is one.
    no_pool: Option<String>,
}

impl<'a> Origin<'a> {
    pub(super) fn of(folders: &'a Folders, spec: &'a Spec, files: &Files) -> Self {
        Self {
            folders,
            spec,
            key: files.key.clone(),
            cold: None,
            pooled: files.taken.is_some(),
            no_pool: files.no_pool.clone(),
        }
    }

    /// The VMM did not take the template.
    pub(super) fn refused(&mut self, why: String) {
        if let Some(key) = &self.key {
            Templates::new(self.folders).remove(key);
        }
        self.cold = Some(Cold::Refused(why));
        say_if_a_fault(self.cold.as_ref());
    }

    /// The guest from the pool was of no use.
    pub(super) fn not_pooled(&mut self, why: String) {
        (self.pooled, self.no_pool) = (false, Some(why));
    }

    /// Has a template made where the next such task would miss one.
    pub(super) fn want_template(&self) {
        if self.cold.as_ref().is_some_and(Cold::wants_template) {
            let (image, resources) = (self.spec.image.clone(), self.spec.resources.clone());
            template::make::in_background(&Request { image, resources });
        }
    }

    pub(super) fn start(&self) -> Start {
        let how = match &self.cold {
            _ if self.pooled => How::Pool,
            Some(_) => How::Cold,
            None if self.spec.copy_of.is_some() => How::Copied,
            None => How::Restored,
        };
        let why = self.no_pool.iter().cloned();
        let why: Vec<_> = why.chain(self.cold.iter().map(|c| chain(c))).collect();
        let why = Some(why.join("; ")).filter(|why| !why.is_empty());
        Start { how, why }
    }
}

/// Says why a task boots though it should have started from a template.
pub(super) fn say_if_a_fault(cold: Option<&Cold>) {
    if let Some(cold) = cold.filter(|cold| cold.is_a_fault()) {
        eprintln!("ampoule: the guest boots: {}", crate::cli::chain(cold));
    }
}
