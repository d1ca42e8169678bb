//! Uploads a turn that is too large for a request, and sends a pointer in its place. WIRE_PROTOCOL 10, "Upload URL generation".

use super::{ClientMachine, Pending, State};
use crate::CommandError;
use crate::client::{CallKind, Event};
use crate::effect::{Completion, Request};
use crate::external::{FetchOptions, Location, ResolveError, Upload};
use crate::http::client::error::ResponseError;
use crate::http::client::request::uri;
use crate::http::client::turn::{Purpose, Turn, TurnAnswer, Uploading};
use crate::http::client::upload::{self, upload_urls};
use crate::wire::error::RpcError;

impl ClientMachine {
    /// Sends a turn, or uploads it if it is known to be too large.
    pub(super) fn begin_turn(&mut self, turn: Box<Turn>) {
        let bytes = turn.body.iter().map(|segment| segment.len() as u64).sum();
        let is_too_large = self.external.is_some() && self.shared.wants_upload(bytes);
        match is_too_large.then(|| self.asking_for_urls(1)) {
            Some(Ok(asking)) => self.request(Pending::UploadUrl { asking, turn }),
            _ => self.request(Pending::Turn(turn)),
        }
    }

    /// Uploads a turn that the server has refused as too large.
    pub(super) fn upload(&mut self, turn: Box<Turn>) -> Result<(), ResponseError> {
        if !self.shared.takes_uploads() {
            let text = "the request exceeds max_request_bytes, and the server vends no upload URLs";
            return self.fail_turn(&turn, RpcError::new("RequestTooLarge", text));
        }
        match self.asking_for_urls(1) {
            Ok(asking) => {
                self.request(Pending::UploadUrl { asking, turn });
                Ok(())
            }
            Err(error) => self.fail_turn(&turn, RpcError::runtime_error(error.to_string())),
        }
    }

    /// Uploads a turn to the URL in this result, or fails if there is none.
    pub(super) fn upload_to(&mut self, turn: Box<Turn>, answer: TurnAnswer) -> Result<(), ResponseError> {
        let Some(options) = self.external.clone() else { return Err(ResponseError::Unasked) };
        match urls_of(answer, &options) {
            Ok((url, download)) => {
                let time_limit = options.time_limit;
                let upload = Upload::new(url, turn.body.clone(), options);
                let id = self.effects.request(Request::Upload(upload), time_limit, None);
                self.state = State::Uploading(Box::new(Uploading { id, turn, download }));
                Ok(())
            }
            Err(error) => self.fail_turn(&turn, error),
        }
    }

    /// Continues with a turn that was uploaded.
    pub(super) fn uploaded(
        &mut self,
        uploading: Uploading,
        completion: Completion,
    ) -> Result<(), ResponseError> {
        let Uploading { mut turn, download, .. } = uploading;
        match completion {
            Completion::Done => match turn.point_to(download) {
                Ok(()) => {
                    self.request(Pending::Turn(turn));
                    Ok(())
                }
                Err(error) => self.fail_turn(&turn, RpcError::runtime_error(error.to_string())),
            },
            other => {
                let error = other.into_error("an upload");
                let text = format!("the request could not be uploaded: {}", error.message());
                self.fail_turn(&turn, RpcError::new("ExternalUploadFailed", text))
            }
        }
    }

    fn fail_turn(&mut self, turn: &Turn, error: RpcError) -> Result<(), ResponseError> {
        self.take_answer(TurnAnswer::failure(turn.purpose.clone(), error))
    }

    /// Creates a request for upload URLs.
    pub(super) fn asking_for_urls(&self, count: u8) -> Result<Box<Turn>, CommandError> {
        let settings = &self.shared.settings;
        let (schema, params, metadata) = upload::request(count)?;
        let uri = uri(settings, &upload::PATH)?;
        // A unary result has one row, but this batch has one row for each URL.
        let kind = CallKind::Stream { header: false };
        let turn =
            Turn::new((Purpose::Unary, kind), (uri, None), &settings.limits, (&schema, &params), &metadata);
        Ok(turn?.into())
    }
}

/// Reads the upload URL and the download URL of a result.
fn urls_of(answer: TurnAnswer, options: &FetchOptions) -> Result<(Location, Location), RpcError> {
    let mut pair = None;
    for event in answer.events {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Output(batch, _) => pair = upload_urls(&batch)?.into_iter().next(),
            _ => {}
        }
    }
    let no_pair = || RpcError::new("ProtocolError", "expected an upload URL, got none");
    let pair = pair.ok_or_else(no_pair)?;
    let checked = |url: &str| {
        let location = Location::parse(url)
            .map_err(|error| RpcError::new("ProtocolError", format!("invalid upload URL: {error}")))?;
        options.policy.check(&location).map_err(|error| ResolveError::new(&location, error))?;
        Ok::<_, RpcError>(location)
    };
    Ok((checked(&pair.upload_url)?, checked(&pair.download_url)?))
}
