// SPDX-License-Identifier: Apache-2.0
//! How far an action's effects could reach, counted.
