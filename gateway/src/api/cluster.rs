//! Questions about all nodes together, answered from their leases.

use std::collections::BTreeMap;

use super::{Api, ApiError, NodeRecord};

impl Api {
    pub(super) async fn info(&self) -> Result<Vec<NodeRecord>, ApiError> {
        Ok(self.node.nodes().await?)
    }

    pub(super) async fn channels(&self, pattern: &str) -> Result<BTreeMap<String, u64>, ApiError> {
        Ok(self.node.channels(pattern).await?)
    }
}
