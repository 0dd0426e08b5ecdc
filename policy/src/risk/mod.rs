// SPDX-License-Identifier: Apache-2.0
//! From effects to the probability that a person would refuse.
