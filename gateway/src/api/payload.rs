//! What a payload must be before it may go out.

use bytes::Bytes;
use fanfare_proto::data::normalise_json;

use super::ApiError;
use crate::config::section::DataFormat;

/// A payload in the form in which it goes out: JSON on one line where the namespace's clients are told
/// JSON, the bytes as they are elsewhere. `field` is for the refusal.
pub(super) fn check(data: Bytes, format: DataFormat, field: &'static str) -> Result<Bytes, ApiError> {
    match format {
        DataFormat::Json => normalise_json(data).map_err(|wrong| ApiError::bad(format!("{field}: {wrong}"))),
        DataFormat::Binary => Ok(data),
    }
}

/// [`check`], where nothing is nothing.
pub(super) fn check_optional(data: Bytes, format: DataFormat, field: &'static str) -> Result<Bytes, ApiError> {
    if data.is_empty() { Ok(data) } else { check(data, format, field) }
}
