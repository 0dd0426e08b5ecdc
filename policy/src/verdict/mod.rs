// SPDX-License-Identifier: Apache-2.0
//! Allow, ask or deny: Cedar policies over what is known of an action.
