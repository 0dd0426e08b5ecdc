// SPDX-License-Identifier: Apache-2.0
//! What a plan's reasoning announces: code, commands, URLs and paths in its text.
