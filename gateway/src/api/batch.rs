//! Several requests in one.

use fanfare_proto::limits::{API_BATCH_CALLS_MAX, API_CONCURRENCY_MAX};
use futures_util::{StreamExt, stream};

use super::request::{Batch, Pace, Request};
use super::{Allowance, Api, ApiError, Context, Response};

impl Api {
    /// Does all calls; one that fails does not keep the next from being tried.
    pub(super) async fn batch(
        &self,
        batch: Batch,
        context: &Context,
    ) -> Result<Vec<Result<Response, ApiError>>, ApiError> {
        let count = batch.calls.len();
        if count > API_BATCH_CALLS_MAX {
            return Err(ApiError::too_many(format!(
                "commands: {count} are more than {API_BATCH_CALLS_MAX} in one batch"
            )));
        }
        let at_once = match batch.pace {
            Pace::OneByOne => 1,
            Pace::Overlapping => API_CONCURRENCY_MAX,
        };
        let room = &Allowance::shared_by(batch.calls.iter().filter(|call| reads_much(call)).count());
        let calls = batch.calls.into_iter().map(async |call| self.single(call?, context, room).await);
        Ok(stream::iter(calls).buffered(at_once).collect().await)
    }
}

fn reads_much(call: &Result<Request, ApiError>) -> bool {
    matches!(call, Ok(Request::History { .. } | Request::Presence { .. }))
}
