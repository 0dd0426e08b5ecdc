// SPDX-License-Identifier: Apache-2.0
//! What guests boot from, and what turns it into files: trees, images, recipes.
//!
//! A rootfs tar, a host folder or a recipe becomes a [`tree::Tree`]; [`erofs`] writes it as an
//! image. The same inputs give the same bytes.
//!
//! A library for the host's side: no guest is running when it works, and it depends on no other
//! package of this workspace.

pub mod erofs;
pub mod folder;
pub mod recipe;
pub mod tar;
pub mod tree;
