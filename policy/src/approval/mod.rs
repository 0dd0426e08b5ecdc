// SPDX-License-Identifier: Apache-2.0
//! What waits for people, and what they decided.
