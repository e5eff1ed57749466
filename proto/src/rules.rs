//! The channel rules that gateways keep in the broker for those who publish without a gateway.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::MESSAGE_BYTES_DEFAULT;
use crate::name;

/// The version that is read and written.
pub const VERSION: u32 = 1;

/// What may be published where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    version: u32,
    data_bytes_max: usize,
    /// By namespace; the default one is called "".
    binary: BTreeMap<String, bool>,
}

/// Why stored rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// From a newer gateway.
    #[error("channel rules of version {0} are not known here (this is version {VERSION})")]
    Version(u32),
    /// Not rules at all.
    #[error("malformed channel rules: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Why a publication breaks the rules. The publisher's fault.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The name.
    #[error(transparent)]
    Name(#[from] name::NameError),
    /// No such namespace.
    #[error("there is no channel namespace {0:?}")]
    Namespace(String),
    /// The size.
    #[error("{size} bytes of data are more than the {max} that the channel takes")]
    Size {
        /// In bytes.
        size: usize,
        /// In bytes.
        max: usize,
    },
    /// The format.
    #[error("the channel takes JSON only: {0}")]
    Json(#[from] serde_json::Error),
}

impl Default for Rules {
    fn default() -> Self {
        Self { version: VERSION, data_bytes_max: MESSAGE_BYTES_DEFAULT, binary: BTreeMap::new() }
    }
}

impl Rules {
    /// Reads what a gateway stored.
    ///
    /// # Errors
    /// When it is not of a known version, or no rules at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, RulesError> {
        let rules: Self = serde_json::from_slice(bytes)?;
        if rules.version == VERSION { Ok(rules) } else { Err(RulesError::Version(rules.version)) }
    }

    /// The data as it may be published: JSON on one line.
    ///
    /// # Errors
    /// What rule it breaks.
    pub fn check(&self, channel: &str, data: Bytes) -> Result<Bytes, RuleError> {
        name::check(channel)?;
        if data.len() > self.data_bytes_max {
            return Err(RuleError::Size { size: data.len(), max: self.data_bytes_max });
        }
        let namespace = name::namespace(channel).unwrap_or_default();
        if self.binary.get(namespace).copied().unwrap_or_default() {
            return Ok(data);
        }
        let json: &RawValue = serde_json::from_slice(&data)?;
        Ok(json.get().replace(['\r', '\n'], "").into())
    }
}
