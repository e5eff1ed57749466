//! Who listens on this node.
/// Who listens on this node.
#[derive(Debug, Default)]
pub struct Hub;
