// SPDX-License-Identifier: Apache-2.0
//! What depends on the processor: pure functions over guest memory and numbers. x86-64 only.

pub(crate) mod x86_64;
